"""ONNX files, run by ONNX Runtime from the registry: the parts, the network on them, and the documented script."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import pointrend
from pointrend import Options
from pointrend.cli.main import app
from pointrend.engines import export as export_module
from pointrend.errors import ConfigError, InaccurateExport
from pointrend.images.inputs import pixels
from pointrend.inference.instances import InstanceSegmenter
from pointrend.weights.folder import ModelFolder
from tests.demo_models import SMALL_RCNN

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "tests" / "demo"
SCRIPT = ROOT / "docs" / "examples" / "onnx_predict.py"


@pytest.fixture(scope="module")
def runtime(onnx_folder: Path) -> Iterator[Path]:
    """ONNX Runtime, importable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(onnx_folder))
        yield onnx_folder


@pytest.fixture(scope="module")
def exported(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model's files, by the command."""
    folder = tmp_path_factory.mktemp("onnx") / "demo"
    done = CliRunner().invoke(app, ["export", "onnx", "demo", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert {path.name for path in folder.iterdir()} == {"trunk.onnx", "coarse.onnx", "points.onnx", "pipeline.json"}
    return folder


def on_files(model: str | Path, files: Path) -> InstanceSegmenter:
    """The model, its dense parts computed by ONNX Runtime."""
    from pointrend.engines.onnx import OnnxRuntime, onnx_parts

    segmenter = pointrend.load(model)
    assert isinstance(segmenter, InstanceSegmenter)
    for part in onnx_parts(segmenter.model):
        part.install(segmenter.model, OnnxRuntime(files / f"{part.name}.onnx", part))
    return segmenter


def same(model: str | Path, files: Path) -> None:
    own, other = pointrend.load(model), on_files(model, files)
    for photo in ("astronaut.png", "chelsea.png", "coffee.png"):
        image = pixels(PHOTOS / photo)
        expected, answered = (each(image, Options(score_threshold=0.3)).instances for each in (own, other))
        assert [each.category_id for each in answered] == [each.category_id for each in expected]
        for one, two in zip(expected, answered, strict=True):
            assert two.score == pytest.approx(one.score, abs=1e-4)
            assert two.bbox == pytest.approx(one.bbox, abs=0.01)
            assert (one.mask() ^ two.mask()).sum() <= max(2, 0.002 * one.mask().sum())


def test_the_demo_models_masks_are_the_same(exported: Path) -> None:
    same("demo", exported)


def test_an_rcnns_masks_are_the_same_at_any_image_size(runtime: Path, tmp_path: Path) -> None:
    from pointrend.engines.onnx import export_onnx

    files = export_onnx(ModelFolder.open(SMALL_RCNN), tmp_path)
    assert {file.stem for file in files} == {"trunk", "boxes", "coarse", "points", "pipeline"}
    same(SMALL_RCNN, tmp_path)
    assert json.loads((tmp_path / "pipeline.json").read_text())["kind"] == "rcnn"


def test_points_of_several_classes_take_their_classes(runtime: Path, tmp_path: Path) -> None:
    from pointrend.config.schema import CoarseMaskConfig, PointHeadConfig
    from pointrend.engines.onnx import OnnxRuntime, PointLogits, _example, _write
    from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead

    for every_layer in (True, False):
        points = PointHeadConfig(fc_dim=16, coarse_pred_each_layer=every_layer)
        head = PointRendMaskHead(8, 5, CoarseMaskConfig(conv_dim=8, fc_dim=16), points).eval()
        part = PointLogits(head, 8).eval()
        _write(part, _example(part), tmp_path / "points.onnx")
        fine, coarse, classes = torch.randn(3, 7, 8), torch.randn(3, 7, 5), torch.tensor([4, 0, 2])
        with torch.inference_mode():
            expected = head.point_head.predict(fine, coarse, classes)
        (answered,) = OnnxRuntime(tmp_path / "points.onnx", part)(fine, coarse, classes)
        assert torch.allclose(expected, answered, atol=1e-5)
        (none,) = OnnxRuntime(tmp_path / "points.onnx", part)(fine[:0], coarse[:0], classes[:0])
        assert none.shape == (0, 7)


def test_the_script_needs_nothing_of_ours_and_finds_the_same(exported: Path, runtime: Path, tmp_path: Path) -> None:
    segmenter = pointrend.load("demo")
    for photo in ("astronaut.png", "chelsea.png", "coffee.png"):
        code = "import runpy, sys; sys.modules.update(dict.fromkeys(('torch', 'pointrend', 'pycocotools', 'scipy')));"
        code += "sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
        arguments = [sys.executable, "-c", code, str(SCRIPT), str(exported), str(PHOTOS / photo), "0.3"]
        done = subprocess.run(
            arguments,
            cwd=tmp_path,
            env={"PYTHONPATH": str(runtime)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        own = segmenter(pixels(PHOTOS / photo), Options(score_threshold=0.3, exact=True)).instances
        lines = done.stdout.splitlines()
        assert len(lines) == len(own) > 0
        for number, (line, instance) in enumerate(zip(lines, own, strict=True), start=1):
            assert line.startswith(f"{instance.name} {instance.score:.3f} box")
            mask = np.asarray(Image.open(tmp_path / f"mask-{number}.png")) > 0
            assert (mask ^ instance.mask()).sum() <= max(2, 0.002 * mask.sum())


def test_what_cannot_be_exported_is_said(
    exported: Path, one_stage_folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pointrend.engines import onnx

    def wrong(part: Any, run: Any, inputs: Any, most: float) -> None:
        export_module.check(part, lambda *given: tuple(2 * each for each in run(*given)), inputs, most)

    monkeypatch.setattr(onnx, "check", wrong)
    with pytest.raises(InaccurateExport, match="output 0 of its part trunk would be off by 100"):
        onnx.export_onnx(one_stage_folder, tmp_path)
    blocked = "import sys; sys.modules['onnxruntime'] = None; from pointrend.cli.main import main; "
    blocked += f"sys.argv = ['pointrend', 'export', 'onnx', 'demo', {str(tmp_path)!r}]; main()"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False, timeout=120)
    assert "pip install 'pointrend-serve[onnx]'" in done.stderr
    monkeypatch.setattr(onnx, "load_network", lambda *_: torch.nn.Identity())
    with pytest.raises(ConfigError, match="only models that find objects and refine masks at points"):
        onnx.export_onnx(one_stage_folder, tmp_path)
