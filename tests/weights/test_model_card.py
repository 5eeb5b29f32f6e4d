"""The cards that go to the Hugging Face Hub, read by huggingface_hub's own classes; nothing is sent.

They refuse a ``model-index`` without its required fields. Whether a data set of that name exists, only the Hub can say.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData, metadata_eval_result
from huggingface_hub.repocard_data import model_index_to_eval_results

from pointrend.errors import ConfigError
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub.card import readme

ROWS = {"box_ap": "boxes", "mask_ap": "refined mask", "boundary_ap": "refined boundary"}


@pytest.fixture(scope="module")
def demo() -> ModelCard:
    """What ``pointrend weights push`` makes of the demo model's card."""
    return ModelCard(readme(ModelFolder.open("demo")))


@pytest.fixture(scope="module")
def data(demo: ModelCard) -> ModelCardData:
    assert isinstance(demo.data, ModelCardData)
    return demo.data


def test_the_demo_models_metadata(demo: ModelCard, data: ModelCardData) -> None:
    assert (data.pipeline_tag, data.library_name, data.datasets) == ("image-segmentation", "pointrend-serve", ["coco"])
    assert (data.license, data.license_name) == ("other", "demonstration-and-evaluation")
    assert data.tags == ["pointrend", "instance-segmentation"]
    assert data.metrics == list(ROWS)
    assert demo.text.lstrip().startswith("# pointrend-demo 1.0\n")


def test_its_figures_are_those_of_its_table(demo: ModelCard, data: ModelCardData) -> None:
    info = ModelFolder.open("demo").info
    assert data.model_name == f"{info.name} {info.version}"
    results = data.eval_results
    assert results is not None
    assert [result.metric_type for result in results] == list(ROWS)
    photos = re.findall(r"^### (\d+) photos, \d+ objects$", demo.text, re.MULTILINE)
    for result in results:
        assert isinstance(result, EvalResult)
        (measured,) = re.findall(rf"^\| {ROWS[result.metric_type]} \| ([\d.]+) \|", demo.text, re.MULTILINE)
        assert result.metric_value == float(measured)
        assert (result.dataset_type, result.dataset_split) == ("coco", "val2017")
        assert [result.dataset_name] == [f"COCO 2017, {number} images" for number in photos]


def test_a_result_is_written_as_the_library_writes_it(demo: ModelCard, data: ModelCardData) -> None:
    header = yaml.safe_load(str(demo).split("---\n")[1])
    results = header["model-index"][0]["results"]
    assert {each["task"]["type"] for each in results} == {"object-detection", "image-segmentation"}
    (boxes,) = [each for each in results if each["task"]["type"] == "object-detection"]
    assert data.model_name is not None
    written = metadata_eval_result(
        model_pretty_name=data.model_name,
        task_pretty_name="Object detection",
        task_id="object-detection",
        metrics_pretty_name="Box AP",
        metrics_id="box_ap",
        metrics_value=boxes["metrics"][0]["value"],
        dataset_pretty_name=boxes["dataset"]["name"],
        dataset_id="coco",
        dataset_split="val2017",
    )
    assert [boxes["metrics"][0] | {"verified": False}] == written["model-index"][0]["results"][0]["metrics"]
    assert {**boxes, "metrics": []} == {**written["model-index"][0]["results"][0], "metrics": []}
    name, read = model_index_to_eval_results(header["model-index"])
    assert (name, read) == (data.model_name, data.eval_results)


def test_a_model_index_without_its_fields_is_not_sent(tmp_path: Path) -> None:
    demo = ModelFolder.open("demo").path
    for name in ("config.yaml", "model.safetensors", "model.json"):
        (tmp_path / name).symlink_to(demo / name)
    text = (demo / "MODEL_CARD.md").read_text()
    (tmp_path / "MODEL_CARD.md").write_text(text.replace("      type: coco\n", "", 1))
    with pytest.raises(ConfigError, match=r"MODEL_CARD\.md: its YAML header cannot be read: Invalid `model_index`"):
        readme(ModelFolder.open(tmp_path))
