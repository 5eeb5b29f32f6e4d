"""Weights in ncnn's format: a tiny graph, whole and damaged; and the detector's own order of convolutions."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from pointrend.config.files import read_config
from pointrend.config.schema import GFLHeadConfig, GhostPANConfig, OneStageConfig
from pointrend.errors import CheckpointError
from pointrend.modeling.one_stage.detector import Detector
from pointrend.training.run import RECIPES
from pointrend.weights.nanodet import detector_weights
from pointrend.weights.ncnn import HALF, NcnnConvolution, read_convolutions

GRAPH = """7767517
4 4
Input                in0   0 1 in0
Convolution          first 1 1 in0 1 0=3 1=1 3=2 5=1 6=9 9=2 -23310=1,1.000000e-01
Pooling              pool  1 1 1 2 1=3 2=2 3=1 5=1
ConvolutionDepthWise next  1 1 2 3 0=3 1=3 4=1 5=1 6=27 7=3
"""
FIRST, NEXT = np.arange(9, dtype=np.float16) / 4, np.arange(27, dtype=np.float32)
BIAS = np.array([1.5, -2, 3], dtype=np.float32)


def binary() -> bytes:
    halves = struct.pack("<I", HALF) + FIRST.tobytes() + b"\0\0"  # 18 bytes, padded to 20
    return halves + BIAS.tobytes() + struct.pack("<I", 0) + NEXT.tobytes() + BIAS.tobytes()


def write(folder: Path, graph: str = GRAPH, data: bytes | None = None) -> tuple[Path, Path]:
    (folder / "net.param").write_text(graph, encoding="utf-8")
    (folder / "net.bin").write_bytes(binary() if data is None else data)
    return folder / "net.param", folder / "net.bin"


def test_a_graph_of_both_precisions_is_read(tmp_path: Path) -> None:
    first, second = read_convolutions(*write(tmp_path))
    assert (first.name, first.stride, first.padding, first.groups, first.activated) == ("first", 2, 0, 1, True)
    assert (second.name, second.stride, second.padding, second.groups, second.activated) == ("next", 1, 1, 3, False)
    np.testing.assert_array_equal(first.weight.numpy(), FIRST.astype(np.float32).reshape(3, 3, 1, 1))
    np.testing.assert_array_equal(second.weight.numpy(), NEXT.reshape(3, 1, 3, 3))
    np.testing.assert_array_equal(second.bias.numpy(), BIAS)


@pytest.mark.parametrize(
    ("graph", "data", "message"),
    [
        (GRAPH.replace("7767517", "7767518"), None, "not an ncnn graph"),
        (GRAPH.replace("Pooling", "Softmax"), None, "the layer pool is a Softmax"),
        (GRAPH.replace("9=2", "9=1"), None, "first has the activation 1"),
        (GRAPH.replace("6=9", "6=10"), None, "first has 10 weights"),
        (GRAPH.replace("7=3", "5=0 7=3"), None, "next has no bias"),
        (GRAPH.replace("3=2 5=1", "3=x 5=1"), None, "first has a malformed parameter"),
        (GRAPH, binary()[:-1], "end in the middle of the layer next"),
        (GRAPH, binary() + b"\0", "but the layers of .* end at"),
        (GRAPH, b"\1\2\3\4" + binary()[4:], "begins with the tag 0x4030201"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, graph: str, data: bytes | None, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_convolutions(*write(tmp_path, graph, data))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_convolutions(tmp_path / "none.param", tmp_path / "net.bin")


def test_every_convolution_of_a_detector_has_its_place_in_the_graph() -> None:
    config = read_config(RECIPES / "one-stage-network.yaml")
    assert isinstance(config, OneStageConfig)
    detector = Detector(config)
    convolutions = [module for module in detector.modules() if isinstance(module, torch.nn.Conv2d)]
    with pytest.raises(CheckpointError, match="The graph has 0 convolutions, but the configured network 110"):
        detector_weights(detector, [])
    wrong = NcnnConvolution("odd", torch.zeros(1, 1, 1, 1), torch.zeros(1), 1, 0, 1, activated=False)
    with pytest.raises(CheckpointError, match=r"odd is .* backbone.stem wants .*\(24, 3, 3, 3\), 2, 1, 1"):
        detector_weights(detector, [wrong] * len(convolutions))
    assert (GhostPANConfig(), GFLHeadConfig()) == (config.pyramid, config.head)
