"""What all tests share: the process's threads, a small one-stage model, and one real TorchServe with the demo model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from pointrend.config.schema import (
    CoarseMaskConfig,
    ConvMaskConfig,
    GFLHeadConfig,
    GhostPANConfig,
    MaskFeaturesConfig,
    OneStageConfig,
    PointHeadConfig,
    ShuffleNetConfig,
)
from pointrend.modeling.one_stage.mask_features import SeparableBlock
from pointrend.modeling.one_stage.network import OneStage
from pointrend.serving.archive import build
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.structures.model_info import Category, ModelInfo
from pointrend.training.initialise import randomise
from pointrend.weights.checkpoint import save_safetensors
from pointrend.weights.convert import convert
from pointrend.weights.folder import ModelFolder
from tests.ports import free_ports

# How long an example takes says nothing on a busy machine, and no test may fail by it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def threads_left_as_they_were() -> Iterator[None]:
    """Loading a model with ``threads`` sets them for the whole process, and sums come out in another order."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: what one of them quantises, the others find there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTREND_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def one_stage_config() -> OneStageConfig:
    """NanoDet-Plus at half its width, with heads to match."""
    return OneStageConfig(
        num_classes=3,
        pixel_mean=(127.0, 127.0, 127.0),
        pixel_std=(64.0, 64.0, 64.0),
        input_format="RGB",
        min_size=128,
        max_size=128,
        keep_aspect=False,
        trunk=ShuffleNetConfig(width="0.5x"),
        pyramid=GhostPANConfig(channels=16, kernel=3),
        head=GFLHeadConfig(num_conv=1, kernel=3),
        mask_features=MaskFeaturesConfig(channels=16, num_conv=1),
        coarse_mask=CoarseMaskConfig(conv_dim=16, fc_dim=32, context_maps=4),
        point_head=PointHeadConfig(fc_dim=16),
        conv_mask=ConvMaskConfig(num_conv=1, conv_dim=16),
    )


@pytest.fixture(scope="session")
def one_stage_folder(one_stage_config: OneStageConfig, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Random weights that find tens of objects in any image; what they are called means nothing."""
    torch.manual_seed(0)
    network = OneStage(one_stage_config)
    randomise(network)
    for level in range(3, 7):
        layer = network.detector.head.get_submodule(f"predict{level}")
        assert isinstance(layer, torch.nn.Conv2d)
        assert layer.bias is not None
        with torch.no_grad():
            layer.weight *= 100  # so that scores and distances differ from cell to cell
            layer.bias[:3] = -2
    for module in network.mask_features.modules():
        if isinstance(module, SeparableBlock):  # which start as the identity
            torch.nn.init.ones_(module.get_parameter("pointwise.norm.weight"))
    with torch.no_grad():  # masks of spots, which points follow
        context = one_stage_config.coarse_mask.context_maps
        network.mask_head.coarse_head.prediction.weight[: one_stage_config.coarse_mask.side**2] *= 1000
        network.mask_head.point_head.predictor.weight[:, -1 - context] = 1
    folder = tmp_path_factory.mktemp("one-stage")
    save_safetensors(network.state_dict(), folder / "weights.safetensors")
    categories = tuple(Category(number, name) for number, name in enumerate(("ball", "box", "cone"), start=1))
    return convert(
        folder / "weights.safetensors",
        one_stage_config,
        folder / "model",
        ModelInfo("balls", "1", categories=categories),
    )


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """A TorchServe that has answered a prediction; stopped at the end with everything that it started."""
    archive = build(ModelFolder.open("demo"), tmp_path_factory.mktemp("store"))
    with TorchServe(archive.parent, Ports(*free_ports(6))) as server:
        server.wait_ready()
        yield server


def installed(folder: Path, *packages: str) -> Path:
    """Packages from the registry in a folder of their own, without what they need: that is here, or among them."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]  # thousands of modules
    subprocess.run([*pip, "--target", str(folder), *packages], check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def sahi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SAHI, with the OpenCV that needs no screen's libraries."""
    packages = ("sahi==0.12.8", "opencv-python-headless>=4.12", "shapely>=2", "fire", "termcolor")
    return installed(tmp_path_factory.mktemp("sahi"), *packages)


@pytest.fixture(scope="session")
def cvat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CVAT's SDK and command line, and nuclio's classes."""
    packages = ("cvat-sdk==2.80.0", "cvat-cli==2.80.0", "json-with-comments==1.2.10", "nuclio-sdk==0.6.3")
    return installed(tmp_path_factory.mktemp("cvat"), *packages)


@pytest.fixture(scope="session")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hugging Face's transformers."""
    packages = ("transformers==5.24.0", "tokenizers==0.23.3", "regex==2026.11.19")
    return installed(tmp_path_factory.mktemp("transformers"), *packages)


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ONNX and its runtime."""
    packages = ("onnx==1.23.2", "onnxruntime==1.32.0", "ml_dtypes==0.6.0", "flatbuffers==25.12.19")
    return installed(tmp_path_factory.mktemp("onnx-runtime"), *packages)
