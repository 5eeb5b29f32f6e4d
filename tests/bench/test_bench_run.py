"""The bench measures every stage of what it says it measures; how fast that is, is not a test's to judge."""

import io
import json
import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from pointrend.bench import report
from pointrend.bench.footprint import footprint
from pointrend.bench.peak import SIDE, best, peaks
from pointrend.bench.run import ENGINES, BenchConfig, run
from pointrend.bench.stages import Cost, total
from pointrend.bench.subjects import SMALLEST_BOX, boxes, open_model, picture
from pointrend.cli.main import app
from pointrend.engines import BF16, CUDA, DETECTRON2, EAGER, NAMES
from pointrend.errors import ConfigError
from pointrend.images.decode import decode
from pointrend.inference.instances import InstanceSegmenter
from pointrend.inference.loading import load
from pointrend.modeling.preprocess import resize, to_input
from pointrend.modeling.rcnn import RCNN
from tests.demo_models import SMALL_RCNN

COUNTS = 1, 3
DENSE = ("decode", "resize", "trunk", "proposals", "box")
ONE_STAGE = ("decode", "resize", "trunk", "select")


def settings(**other):
    given: dict[str, Any] = {
        "models": (str(SMALL_RCNN),),
        "engines": (EAGER, BF16),
        "sides": (96,),
        "counts": COUNTS,
        "rounds": 1,
        "threads": 1,
    }
    return BenchConfig(**(given | other))


@pytest.fixture(scope="module")
def results():
    before = torch.get_num_threads()
    engines = (EAGER, BF16) if torch.cuda.is_available() else (EAGER, BF16, CUDA)
    yield run(settings(engines=engines), Console(file=io.StringIO()))
    torch.set_num_threads(before)


def test_every_stage_of_every_engine_is_timed(results):
    assert [(each.model, each.engine, each.side) for each in results.measured] == [
        (str(SMALL_RCNN), EAGER, 96),
        (str(SMALL_RCNN), BF16, 96),
    ]
    stages = {*DENSE, *(f"{name} {count}" for name in ("mask", "encode") for count in COUNTS)}
    for each in results.measured:
        assert len(each.rounds) == 1
        assert set(each.rounds[0]) == stages
        assert all(cost.wall > 0 and cost.cpu >= 0 for cost in each.rounds[0].values())


def test_a_one_stage_model_has_its_own_stages(one_stage_folder, tmp_path):
    """Beside a model of the other kind, in one report."""
    folder = str(one_stage_folder.path)
    measured = run(settings(models=(str(SMALL_RCNN), folder), counts=(1,)), Console(file=io.StringIO()))
    assert [(each.model, each.engine) for each in measured.measured] == [
        (model, engine) for model in (str(SMALL_RCNN), folder) for engine in (EAGER, BF16)
    ]
    for each in measured.measured[2:]:
        assert list(each.rounds[0]) == [*ONE_STAGE, "mask 1", "encode 1"]
        assert total(each.rounds[0], 1).wall == pytest.approx(sum(cost.wall for cost in each.rounds[0].values()))
    assert measured.measured[2].trunk_operations > 0
    text = report.markdown(measured)
    assert "| select |" in text[text.index(folder) :]
    assert "| proposals |" in text[: text.index(folder)]
    report.plot(measured, tmp_path / "bench.png", 1)
    assert decode((tmp_path / "bench.png").read_bytes()).std() > 1


def test_a_whole_photo_is_the_sum_of_its_stages():
    costs = {name: Cost(1.0, 2.0) for name in (*DENSE, "mask 1", "encode 1", "mask 3", "encode 3")}
    costs["mask 3"] = Cost(5.0, 7.0)
    assert total(costs, 1) == Cost(7.0, 14.0)
    assert total(costs, 3) == Cost(11.0, 19.0)


def test_an_engine_that_does_not_run_here_is_left_out_and_said(results):
    if torch.cuda.is_available():
        pytest.skip("every engine of the test runs here")
    assert set(results.left_out) == {CUDA}
    assert "sees none here" in results.left_out[CUDA]
    assert f"Left out: {CUDA}. " in report.markdown(results)


def test_the_footprint_is_of_a_process_with_the_model(results):
    for each in results.measured:
        assert each.footprint is not None
        assert each.footprint.peak_mib > 100  # torch alone takes more
        assert each.footprint.load_seconds > 0 < each.footprint.first_seconds
        if sys.platform == "linux":  # a hundred masks of 224 x 224 float32 are 19 MiB
            assert each.footprint.mask_mib is None or each.footprint.mask_mib > 19


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell how much a process holds")
def test_the_memory_is_not_that_of_the_process_that_asks():
    held = np.ones(200_000_000)
    taken = footprint(SMALL_RCNN, EAGER, 96, 1)
    assert taken.peak_mib is not None
    assert 100 < taken.peak_mib < held.nbytes / 2**20


@pytest.mark.slow
def test_a_random_network_gives_as_much_to_do_as_a_trained_one(tmp_path):
    segmenter = load(open_model("random:coco-r50-3x", tmp_path).path)
    assert isinstance(segmenter, InstanceSegmenter)
    model = segmenter.model
    assert isinstance(model, RCNN)
    images, size = to_input(resize(decode(picture(480, 640)), model.config), model.config)
    with torch.inference_mode():
        features, logits, offsets = model.trunk(images)
        proposals = model.proposal_generator.propose(logits, offsets, size).boxes
        _, found = model.detect(images, size)
    assert all(0.1 < float(each.std()) < 10 for each in (*features.values(), *logits, *offsets))
    assert len(proposals) == 1000
    assert len(found) == 100


def test_the_trunks_operations_are_those_of_the_convolutions(results):
    segmenter = load(SMALL_RCNN)
    assert isinstance(segmenter, InstanceSegmenter)
    network = segmenter.model
    counted = []

    def count(layer, _, output):
        counted.append(2 * output[0, 0].numel() * layer.weight.numel())

    handles = [
        layer.register_forward_hook(count)
        for part in (network.backbone, network.proposal_generator.rpn_head)
        for layer in part.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    images, _ = to_input(resize(decode(picture(96, 128)), network.config), network.config)
    with torch.inference_mode():
        network.trunk(images)
    for handle in handles:
        handle.remove()
    assert results.measured[0].trunk_operations == sum(counted)


def test_of_two_peaks_the_better_one_counts():
    assert best({"f32": 3.0, "int8": 5.0}, {"f32": 4.0, "int8": 1.0}) == {"f32": 4.0, "int8": 5.0}


def test_the_peak_is_in_operations_a_second(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(
        "pointrend.bench.peak.time.perf_counter", lambda: next(ticks) / 2
    )  # each product: half a second
    reached = peaks()
    assert {"f32", "bf16"} <= set(reached)
    assert set(reached.values()) == {4.0 * SIDE**3}


def test_boxes_are_large_and_inside_and_always_the_same():
    found = boxes(50, 800, 1088)
    sides = found[:, 2:] - found[:, :2]
    assert sides.min() >= SMALLEST_BOX - 1e-3
    assert found.min() >= 0
    assert (found[:, 2:] <= torch.tensor([1088.0, 800.0]) + 1e-3).all()
    assert torch.equal(found, boxes(50, 800, 1088))
    assert (boxes(5, 100, 120)[:, 3] - boxes(5, 100, 120)[:, 1]).allclose(torch.tensor(100.0))


def test_the_picture_is_no_plain_colour():
    image = decode(picture(96, 128))
    assert image.shape == (96, 128, 3)
    assert image.reshape(-1, 3).std(axis=0).min() > 10
    assert np.array_equal(image, decode(picture(96, 128)))


@pytest.mark.parametrize("engine", [DETECTRON2, "eagre"])
def test_an_engine_without_stages_is_refused_by_name(engine):
    with pytest.raises(ConfigError, match=f"engines: '{engine}' cannot be measured by stages. Known: eager,"):
        run(settings(engines=(engine,)), Console(file=io.StringIO()))


def test_all_engines_but_the_one_without_stages_are_measured():
    assert set(ENGINES) == set(NAMES) - {DETECTRON2}


@pytest.mark.parametrize(
    ("option", "value", "limit"),
    [("--side", "8", "32"), ("--instances", "0", "1"), ("--rounds", "0", "1"), ("--threads", "0", "1")],
)
def test_a_bad_number_is_named_with_its_limit(option, value, limit):
    outcome = CliRunner().invoke(app, ["bench", option, value])
    assert outcome.exit_code == 2
    assert f"'{option}'" in outcome.output
    assert re.search(rf"(greater than or equal to |>=){limit}\b", outcome.output)


def test_the_markdown_says_what_was_measured(results):
    text = report.markdown(results)
    tables = _tables(text)
    stages = tables["stage, ms"]
    assert stages[0] == ["stage, ms", EAGER, BF16]
    assert [row[0] for row in stages[1:]] == list(results.measured[0].rounds[0])[:5] + [
        f"{name} {count}" for name in ("mask", "encode") for count in COUNTS
    ]
    for row in stages[1:]:
        for cell, each in zip(row[1:], results.measured, strict=True):
            assert float(cell.split()[0]) == pytest.approx(each.rounds[0][row[0]].wall * 1000, abs=0.6)
    whole = tables["instances"]
    assert [(row[0], row[1]) for row in whole[1:]] == [(str(n), e) for n in COUNTS for e in (EAGER, BF16)]
    assert {row[4] for row in whole[1:] if row[1] == EAGER} == {"1.00"}
    assert [row[0] for row in tables["engine"][1:]] == [EAGER, BF16]


def test_the_json_holds_every_round(results):
    tree = json.loads(report.to_json(results))
    assert tree["settings"]["counts"] == list(COUNTS)
    assert tree["measured"][1]["rounds"][0]["trunk"]["wall"] == results.measured[1].rounds[0]["trunk"].wall


def test_the_picture_of_the_results_is_drawn(results, tmp_path):
    report.plot(results, tmp_path / "bench.png", COUNTS[0])
    assert decode((tmp_path / "bench.png").read_bytes()).std() > 1


def test_quartiles():
    assert report.quartiles([5.0]) == (5.0, 5.0, 5.0)
    assert report.quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == (2.0, 3.0, 4.0)
    with pytest.raises(ValueError, match="at least one"):
        report.quartiles([])


def _tables(text):
    """Rows of cells of each Markdown table, by its first heading."""
    tables, rows = {}, []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            tables[rows[0][0]] = [rows[0], *rows[2:]]
            rows = []
    return tables
