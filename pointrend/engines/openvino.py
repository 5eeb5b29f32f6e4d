"""Run the dense parts of a network with OpenVINO on a CPU, from what :mod:`pointrend.engines.export` has written.

Images of any size and any number of regions go through one compiled model: OpenVINO makes kernels for a new size once
(a fraction of a prediction's time) and keeps them. Only where all sizes are constant does it hand out what its
convolutions wrote without copying it into another layout; so sizes that are expected have compiled models of their own.
Outputs are written straight into the tensors that PyTorch reads.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import torch
from torch import Tensor

from pointrend.engines.image_sizes import expected_inputs
from pointrend.engines.part import Network, Part
from pointrend.errors import ConfigError

# On import, OpenVINO would tell its makers so, by a process that it forks and that holds this one's pipes open. None is
# what Python takes for a module that is not there; OpenVINO does without it then.
cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)


@cache
def _core() -> Any:
    """OpenVINO's runtime: one for the process, which is never given up.

    For a second one would be unsafe: on x86 each gives the thread that makes it a stack for signal handlers, and puts
    back the one before when it goes. Two that go in the order in which they came leave a stack that was unmapped, and
    the next signal that Python handles ends the process.
    """
    import openvino  # optional

    return openvino.Core()


class Compiled:
    """A part that OpenVINO compiled, called as the part is.

    Calls from several threads take turns, each with all of OpenVINO's threads; but where PyTorch has one thread in the
    calling one, calls of a part with ``side_by_side`` run at once, each on the thread that it comes from.

    Args:
        path: of the part's ``.xml``, beside which its ``.bin`` lies.
        part: tells the outputs' shapes.
        sizes: of images (H, W) that get a compiled model of their own; a part that takes no images ignores them.

    Raises:
        ConfigError: the files cannot be read, or this OpenVINO cannot run them.
    """

    def __init__(self, path: Path, part: Part, sizes: Sequence[tuple[int, int]] = ()) -> None:
        import openvino  # optional

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            # Pinned threads of several workers on one machine would share its first cores.
            "ENABLE_CPU_PINNING": False,
            # What is not int8 stays float32 on every machine, so that all of them answer alike.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._of_size: dict[tuple[int, int], Any] = {}
        try:
            model = _core().read_model(str(path))
            if part.takes_images:
                model = _with_channels_last(model)
            self._request = _core().compile_model(model, "CPU", settings).create_infer_request()
            self._requests_of_one_thread = SimpleQueue[Any]()
            if part.side_by_side and torch.get_num_threads() > 1:
                streams = {**settings, "NUM_STREAMS": torch.get_num_threads()}
                compiled = _core().compile_model(model, "CPU", streams)
                for _ in range(torch.get_num_threads()):
                    self._requests_of_one_thread.put(compiled.create_infer_request())
            if part.takes_images and -1 in part.inputs[0]:
                for height, width in sizes:
                    model.reshape([1, height, width, 3])
                    compiled = _core().compile_model(model, "CPU", settings)
                    self._of_size[height, width] = compiled.create_infer_request()
        except RuntimeError as error:
            raise ConfigError(f"{path}: OpenVINO {openvino.__version__} cannot run it: {error}") from error
        self._wrap: Any = openvino.Tensor
        self._shapes = part.shapes
        self._takes_images = part.takes_images
        self._side_by_side = not self._requests_of_one_thread.empty()
        self._lock = threading.Lock()

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Of images (H, W), that were compiled ahead."""
        return tuple(self._of_size)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the part's outputs; new tensors, which belong to the caller."""
        outputs = [torch.empty(shape) for shape in self._shapes(*(tuple(each.shape) for each in inputs))]
        if 0 in inputs[0].shape:
            return tuple(outputs)
        given = [(each.permute(0, 2, 3, 1) if self._takes_images else each).contiguous() for each in inputs]
        request = self._request
        if self._takes_images:
            height, width = given[0].shape[1:3]
            request = self._of_size.get((height, width), request)
        if self._side_by_side and torch.get_num_threads() == 1:
            request = self._requests_of_one_thread.get()
            try:
                self._infer(request, given, outputs)
            finally:
                self._requests_of_one_thread.put(request)
        else:
            with self._lock:
                self._infer(request, given, outputs)
        return tuple(outputs)

    def _infer(self, request: Any, given: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        for index, each in enumerate(given):
            request.set_input_tensor(index, self._shared(each))
        for index, each in enumerate(outputs):
            request.set_output_tensor(index, self._shared(each))
        request.infer()

    def _shared(self, tensor: Tensor) -> Any:
        return self._wrap(tensor.numpy(), shared_memory=True)


def _with_channels_last(model: Any) -> Any:
    """A model that takes images (1, H, W, 3): as they come, and as its convolutions read them."""
    from openvino import Layout  # optional
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input(0).tensor().set_layout(Layout("NHWC"))
    steps.input(0).model().set_layout(Layout("NCHW"))
    return steps.build()


def install(network: Network, parts: Sequence[Part], folder: Path) -> None:
    """Let OpenVINO compute the parts of a network.

    Args:
        network: whose parts they are; it lets go of most of its weights.
        parts: those that are exported: :func:`pointrend.engines.export.exported`.
        folder: holds the files of each.

    Raises:
        ConfigError: a part's files cannot be read, or not be run; or ``POINTREND_SIZES`` holds no sizes.
    """
    sizes = expected_inputs(network.config)
    compiled = [Compiled(folder / f"{part.name}.xml", part, sizes) for part in parts]
    for part, run in zip(parts, compiled, strict=True):
        part.install(network, run)
