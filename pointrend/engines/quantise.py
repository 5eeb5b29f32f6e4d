"""Turn the dense parts of a network into int8, by NNCF's post-training quantisation, as files for OpenVINO.

Each part is converted with sizes left open, and calibrated on what it sees when the network looks at photos. The layers
whose outputs are the network's answers (scores, offsets, mask logits) stay float32: there a rounding is an error of
the result, and they cost little. So do convolutions of each channel on its own, which have hardly any products to
save and channels of very different ranges.

It runs in a process of its own: NNCF and OpenVINO's converter report their use to their makers, without asking, where
the package ``openvino_telemetry`` is there; in that process it is not. And the memory is given back.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from pointrend.engines import EAGER, OPENVINO_INT8, require, require_fit, store
from pointrend.engines.calibration import find_photos, record
from pointrend.engines.openvino import Compiled
from pointrend.engines.parts import Part, Run, parts
from pointrend.errors import ConfigError, PointRendError
from pointrend.modeling.rcnn import RCNN
from pointrend.weights.checkpoint import load_network, read_checkpoint
from pointrend.weights.folder import ModelFolder

logger = logging.getLogger(__name__)

# Of an output's own size, by their norms. Rounding to int8 comes to 0.02 to 0.15.
MOST_OFF = 0.5


def prepare(folder: ModelFolder) -> Path:
    """The quantised files of a model: in its folder, or in the cache, where they are made if they are not there yet.

    Raises:
        ConfigError: they cannot be made: see :func:`quantise`.
    """
    ready = store.find(folder)
    if ready is not None:
        logger.info("%s was quantised before: %s", folder.info.name, ready)
        return ready
    # Said where nobody has set up logging too: whoever waits for a first prediction wants to know for what.
    logger.warning("Quantising %s, once: half a minute for a small model, minutes for a large one.", folder.info.name)
    started = time.monotonic()
    with store.scratch() as scratch:
        whole = Path(scratch) / "whole"
        quantise(folder, whole)
        place = store.keep(whole, folder)
    logger.info("%s was quantised in %.0f s: %s", folder.info.name, time.monotonic() - started, place)
    return place


def quantise(folder: ModelFolder, destination: Path, photos: Path | None = None) -> None:
    """Quantise a model's dense parts, in a process of its own.

    Args:
        folder: of the model.
        destination: a folder that receives each part's ``NAME.xml`` and ``NAME.bin``, and a note on whose they are.
        photos: a folder of photos to calibrate with; None takes those that come with scikit-image.

    Raises:
        ConfigError: a package is missing, the model has no such parts, or a photo cannot be read, or there is none.
    """
    require(OPENVINO_INT8)
    require_fit(OPENVINO_INT8, folder.network)
    if find_spec("nncf") is None:
        raise ConfigError(
            f"engine: {OPENVINO_INT8} needs the Python package nncf to quantise a model, which is not installed. "
            "Install the project with its extra openvino; a model that was quantised elsewhere runs without it."
        )
    find_photos(photos)  # here, where the message is not yet another process's
    here = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", __name__, str(folder.path), str(destination), str(torch.get_num_threads())]
    with tempfile.TemporaryDirectory() as scratch:  # NNCF and OpenVINO write logs where they run
        done = subprocess.run(
            [*command, str(photos.resolve())] if photos is not None else command,
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = (done.stderr.strip() or f"it ended with status {done.returncode}").splitlines()[-1]
        raise ConfigError(f"engine: {folder.info.name} could not be quantised: {last}")


def _main(model: str, destination: str, threads: str, photos: str | None = None) -> None:
    """What the process of its own does."""
    torch.set_num_threads(int(threads))
    folder, into = ModelFolder.open(model), Path(destination)
    network = load_network(folder.network, read_checkpoint(folder.weights)).eval()
    assert isinstance(network, RCNN)  # quantise() has seen to it
    chosen = find_photos(None if photos is None else Path(photos))
    own = parts(network)
    seen = record(network, own, chosen)

    import openvino

    into.mkdir(parents=True, exist_ok=True)
    for part in own:
        inputs, file = seen.pop(part.name), into / f"{part.name}.xml"
        openvino.save_model(_quantised(part, inputs), str(file))
        check(part, Compiled(file, part), inputs[0])
    store.stamp(into, folder, len(chosen))


def check(part: Part, run: Run, inputs: tuple[Tensor, ...]) -> None:
    """See that a quantised part answers about what it should.

    OpenVINO 2026.4 for one computes wrongly what follows a convolution without a bias in two ways, a pyramid's last
    levels among them; that no such model is ever served silently is worth one call.

    Args:
        part: in plain PyTorch.
        run: the same, quantised.
        inputs: of one call.

    Raises:
        ConfigError: an output is further off than rounding explains.
    """
    with torch.inference_mode():
        for index, (expected, answered) in enumerate(zip(part(*inputs), run(*inputs), strict=True)):
            off = float((answered - expected).norm() / expected.norm().clamp(min=torch.finfo().tiny))
            if not off <= MOST_OFF:  # what is no number is not either
                raise ConfigError(
                    f"output {index} of its part {part.name} would be {off:.0%} off, and {MOST_OFF:.0%} is the limit. "
                    f"Choose the engine {EAGER}."
                )


def _quantised(part: Part, inputs: Sequence[tuple[Tensor, ...]]) -> Any:
    import nncf
    import openvino

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of shapes that it takes for constants; ours are left open
        shapes = [openvino.PartialShape(list(shape)) for shape in part.inputs]
        model = openvino.convert_model(part, example_input=inputs[0], input=shapes)
    kept = (*part.answers, *part.tender)
    precise = [
        operation.get_friendly_name()
        for operation in model.get_ops()
        if _depthwise(operation) or any(module in operation.get_friendly_name() for module in kept)
    ]
    return nncf.quantize(
        model,
        nncf.Dataset([tuple(each.numpy() for each in call) for call in inputs]),
        preset=nncf.QuantizationPreset.MIXED,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(names=precise, validate=False),
    )


def _depthwise(operation: Any) -> bool:
    if operation.get_type_name() != "GroupConvolution":
        return False
    _, outputs, inputs, *_ = operation.input_value(1).get_shape()  # of each group
    return bool(outputs == inputs == 1)


if __name__ == "__main__":
    cast(dict[str, Any], sys.modules)["openvino_telemetry"] = None  # as Python itself says of what is not there
    try:
        _main(*sys.argv[1:])
    except PointRendError as error:
        raise SystemExit(str(error)) from error
