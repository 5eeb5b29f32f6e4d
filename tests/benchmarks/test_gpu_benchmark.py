"""The GPU's benchmark computes the same masks for a batch as for its photos; without a GPU it says so."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import INSTANCES, Figures, markdown, masks_of_batch, measure, ways
from pointrend.engines.network import open_network
from pointrend.modeling.rcnn import RCNN
from pointrend.weights.folder import ModelFolder
from tests.demo_models import SMALL_RCNN

ROOT = Path(__file__).parents[2]
SIZE = 96, 128


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def test_a_batch_has_the_masks_of_its_photos(images):
    network = open_network(ModelFolder.open(SMALL_RCNN))
    assert isinstance(network, RCNN)
    with torch.inference_mode():
        together = masks_of_batch(network, images, SIZE)
        alone = [masks_of_batch(network, image[None], SIZE)[0] for image in images]
    assert [mask.shape[0] for mask in together] == [INSTANCES, INSTANCES]
    for one, other in zip(together, alone, strict=True):
        # A place whose certainty is tied may be refined in one and not in the other.
        assert ((one - other).abs() < 1e-2).float().mean() > 0.99
    assert not torch.allclose(together[0], together[1], atol=0.1)


def test_every_way_is_measured(images):
    runs = ways(ModelFolder.open(SMALL_RCNN), SIZE, "cpu", compiled=False)
    figures = measure(runs, images[:1], batch=2, rounds=2)
    assert [each.way for each in figures] == ["float32", "bfloat16", "float16 (engine cuda)"]
    assert all(0 < each.lower <= each.median <= each.upper and each.batch == 2 for each in figures)


def test_the_table_is_markdown():
    lines = markdown([Figures("float32", 4, 0.5, 0.25, 0.75, 1024.4)], "A GPU.").splitlines()
    assert lines[0] == "A GPU."
    cells = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert cells == ["float32", "4", "500.0", "250.0-750.0", "8.0", "1024"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    command = [sys.executable, "benchmarks/gpu.py"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "no GPU here: nothing was measured" in run.stdout
