"""What one process with one model takes: to start, and of memory. Run as a module in a process of its own.

python -m pointrend.bench.footprint MODEL ENGINE SHORT_EDGE THREADS
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pointrend.system.memory import MemoryLimit, give_back, told

INSTANCES = 100


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of a process that imports, loads and predicts.

    Attributes:
        load_seconds: imports and loading.
        first_seconds: the first prediction.
        peak_mib: the most memory it held until then; None where the system does not tell.
        mask_mib: what drawing :data:`INSTANCES` large masks took beyond; None as well.
    """

    load_seconds: float
    first_seconds: float
    peak_mib: int | None
    mask_mib: int | None


def footprint(model: Path, engine: str, side: int, threads: int) -> Footprint:
    """Start a process and ask it.

    Raises:
        RuntimeError: it failed; its last words are in the message.
    """
    command = [sys.executable, "-m", __name__, str(model), engine, str(side), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{engine}: the process that measures its memory failed: {done.stderr[-500:]}")
    return Footprint(**json.loads(done.stdout.splitlines()[-1]))


def measure(model: str, engine: str, side: int, threads: int) -> Footprint:
    """Measure this process, which has done nothing yet."""
    started = time.perf_counter()
    # What importing these costs is measured too.
    import torch

    from pointrend.bench.subjects import boxes, picture
    from pointrend.images.decode import decode
    from pointrend.inference.instances import InstanceSegmenter
    from pointrend.inference.loading import load
    from pointrend.modeling.preprocess import resize, to_input

    segmenter = load(model, engine=engine, threads=threads)
    MemoryLimit()  # as in every process of ours that predicts
    assert isinstance(segmenter, InstanceSegmenter)  # others are not measured
    loaded = time.perf_counter()
    image = decode(picture(side, side * 4 // 3))
    began = time.perf_counter()
    segmenter(image)
    first = time.perf_counter() - began
    peak = told("VmHWM")  # not getrusage(): that begins with what the process had that started this one
    with torch.inference_mode():
        network = segmenter.model
        images, size = to_input(resize(image, network.config), network.config)
        features, _ = network.detect(images.to(segmenter.device), size)
        regions = boxes(INSTANCES, *size).to(segmenter.device)
        classes = torch.zeros(INSTANCES, dtype=torch.int64, device=segmenter.device)
        before = _start_of_peak()
        network.mask_logits(features, regions, classes)
        most = told("VmHWM")
    used = None if before is None or most is None else most - before
    return Footprint(loaded - started, first, peak, used)


def _start_of_peak() -> int | None:
    """Let the system forget the most memory so far, and tell what is held now, in MiB; None where it cannot."""
    # What the process has freed but holds goes back first: taken again, it would not be seen.
    if not give_back():
        return None
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return told("VmRSS")


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))))
