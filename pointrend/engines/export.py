"""Write the dense parts of a network as files for OpenVINO, in float32 or quantised.

Each part is converted with those sizes left open that differ from image to image. That happens in a process of its own:
NNCF and OpenVINO's converter report their use to their makers, without asking, where the package
``openvino_telemetry`` is there; in that process it is not. And the memory is given back.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from pointrend.engines import EAGER, OPENVINO, OPENVINO_INT8, require, require_fit, store
from pointrend.engines.agreement import check_classes
from pointrend.engines.calibration import find_images, record
from pointrend.engines.openvino import Compiled
from pointrend.engines.part import Network, Part, Points, Run
from pointrend.engines.parts import parts
from pointrend.engines.quantise import quantised
from pointrend.errors import ConfigError, InaccurateExport, PointRendError
from pointrend.modeling.semantic import SemanticPointRend
from pointrend.system.processes import child_environment
from pointrend.weights.checkpoint import load_network, read_checkpoint
from pointrend.weights.folder import ModelFolder

logger = logging.getLogger(__name__)

# Of an output's own size, by their norms. Rounding to int8 comes to 0.02 to 0.15, another order of sums to 1e-5.
INACCURATE = 3  # the exit status that tells so of the process of its own
MOST_OFF = {OPENVINO: 0.001, OPENVINO_INT8: 0.5}
EXAMPLE_SIZE = 64  # of what differs from image to image: the image's sides, the number of regions or points


def prepare(folder: ModelFolder, engine: str) -> Path:
    """An engine's files of a model: in its folder, or in the cache, where they are made if they are not there yet.

    Args:
        folder: of the model.
        engine: one of :data:`pointrend.engines.EXPORTED`.

    Raises:
        ConfigError: they cannot be made: see :func:`export`.
    """
    name = folder.info.name
    ready = store.find(folder, engine)
    if ready is not None:
        logger.info("%s was exported before: %s", name, ready)
        return ready
    if engine == OPENVINO_INT8:
        # Said where nobody has set up logging too: whoever waits for a first prediction wants to know for what.
        logger.warning("Quantising %s, once: half a minute for a small model, minutes for a large one.", name)
    started = time.monotonic()
    with store.scratch(engine) as scratch:
        whole = Path(scratch) / "whole"
        export(folder, whole, engine)
        place = store.keep(whole, folder, engine)
    logger.info("%s was exported in %.0f s: %s", name, time.monotonic() - started, place)
    return place


def export(folder: ModelFolder, destination: Path, engine: str, images: Path | None = None) -> None:
    """Convert a model's dense parts for an engine, in a process of its own.

    Args:
        folder: of the model.
        destination: a folder that receives each part's ``NAME.xml`` and ``NAME.bin``, and a note on whose they are.
        engine: one of :data:`pointrend.engines.EXPORTED`.
        images: a folder of images to calibrate with, where the engine quantises; None takes those that come with
            scikit-image.

    Raises:
        InaccurateExport: a converted part answers too differently, or a semantic model gives too many pixels other
            classes.
        ConfigError: a package is missing, the model has no such parts, or an image cannot be read, or there is none.
    """
    require(engine)
    require_fit(engine, folder.network)
    chosen: list[Path] = []
    if engine == OPENVINO_INT8:
        if find_spec("nncf") is None:
            raise ConfigError(
                f"engine: {engine} needs the Python package nncf to quantise a model, which is not installed. "
                "Install the project with its extra openvino (pip install 'pointrend-serve[openvino]'); "
                "a model that was quantised elsewhere runs without it."
            )
        chosen = find_images(images)  # here, where the message is not yet another process's
    here = str(Path(__file__).resolve().parents[2])
    environment = child_environment(PYTHONPATH=os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])))
    command = [sys.executable, "-m", __name__, str(folder.path), str(destination), engine, str(torch.get_num_threads())]
    with tempfile.TemporaryDirectory() as scratch:  # NNCF and OpenVINO write logs where they run
        done = subprocess.run(
            [*command, *(str(image.absolute()) for image in chosen)],
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = (done.stderr.strip() or f"it ended with status {done.returncode}").splitlines()[-1]
        verb = "quantised" if engine == OPENVINO_INT8 else "converted"
        kind = InaccurateExport if done.returncode == INACCURATE else ConfigError
        raise kind(f"engine: {folder.info.name} could not be {verb}: {last}")


def _main(model: str, destination: str, engine: str, threads: str, *images: str) -> None:
    """What the process of its own does."""
    torch.set_num_threads(int(threads))
    folder, into = ModelFolder.open(model), Path(destination)
    network = load_network(folder.network, read_checkpoint(folder.weights)).eval()
    own = exported(network, engine)
    chosen = [Path(each) for each in images]
    seen = record(network, own, chosen) if chosen else {part.name: [example(part)] for part in own}

    import openvino  # optional, and here after its telemetry was turned off

    into.mkdir(parents=True, exist_ok=True)
    runs = []
    for part in own:
        inputs, file = seen.pop(part.name), into / f"{part.name}.xml"
        model_ = converted(part, inputs[0])
        if engine == OPENVINO_INT8:
            model_ = quantised(model_, part, inputs)
        openvino.save_model(model_, str(file), compress_to_fp16=engine == OPENVINO_INT8)
        runs.append(Compiled(file, part))
        check(part, runs[-1], inputs[0], MOST_OFF[engine])
    if engine == OPENVINO_INT8 and isinstance(network, SemanticPointRend):
        check_classes(network, own, runs, chosen)
    store.stamp(into, folder, len(images))


def exported(network: Network, engine: str) -> list[Part]:
    """The parts of a network that an engine runs from files.

    In float32 PyTorch is faster at the points, whose inputs it need not put together: :class:`~.part.Points`.
    """
    return [part for part in parts(network) if engine != OPENVINO or not isinstance(part, Points)]


def example(part: Part) -> tuple[Tensor, ...]:
    """Inputs that a part may be given, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    sizes = ([EXAMPLE_SIZE if size < 0 else size for size in shape] for shape in part.inputs)
    return tuple(torch.randn(size, generator=generator) for size in sizes)


def converted(part: Part, inputs: tuple[Tensor, ...]) -> Any:
    """A part as an ``openvino.Model``, with open sizes where :attr:`Part.inputs` has them.

    Args:
        part: in plain PyTorch.
        inputs: of one call.
    """
    import openvino  # optional

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing warns of shapes that it takes for constants; ours are left open
        shapes = [openvino.PartialShape(list(shape)) for shape in part.inputs]
        return openvino.convert_model(part, example_input=inputs, input=shapes)


def check(part: Part, run: Run, inputs: tuple[Tensor, ...], most: float) -> None:
    """See that a converted part answers about what it should.

    OpenVINO 2026.4 for one computes wrongly what follows a convolution without a bias in two ways, a pyramid's last
    levels among them; that no such model is ever served silently is worth one call.

    Args:
        part: in plain PyTorch.
        run: the same, converted.
        inputs: of one call.
        most: how far an output may be off, relative to its own size, by their norms.

    Raises:
        InaccurateExport: an output is further off.
    """
    with torch.inference_mode():
        for index, (expected, answered) in enumerate(zip(part(*inputs), run(*inputs), strict=True)):
            off = float((answered - expected).norm() / expected.norm().clamp(min=torch.finfo().tiny))
            if not off <= most:  # what is no number is not either
                raise InaccurateExport(
                    f"output {index} of its part {part.name} would be off by {off:.2%}; the limit is {most:.1%}. "
                    f"Choose the engine {EAGER}."
                )


if __name__ == "__main__":
    cast(dict[str, Any], sys.modules)["openvino_telemetry"] = None  # as Python itself says of what is not there
    try:
        _main(*sys.argv[1:])
    except PointRendError as error:
        print(error, file=sys.stderr)
        sys.exit(INACCURATE if isinstance(error, InaccurateExport) else 1)
