from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gradio_app.examples import EXAMPLES
from gradio_app.how_tab import HowTab, drawn
from gradio_app.page import Page
from gradio_app.refinement import SIDES, WINDOW_SIDE, CloseUp, RefinementTrace
from gradio_app.servers import Server, Servers
from gradio_app.uploads import Uploads
from pointrend.client import Client
from pointrend.errors import UnsupportedImage
from pointrend.masks.decode import full


@pytest.fixture(scope="module")
def trace(served):
    asked = []
    trace = RefinementTrace.ask(
        Client(served.url), EXAMPLES[0].path.read_bytes(), on_step=lambda number, count: asked.append((number, count))
    )
    count = 2 * len(SIDES) - 1 + (trace.constant is not None)  # each but the coarse one for its points, too
    assert asked == [(number, count) for number in range(count)]
    return trace


@pytest.fixture(scope="module")
def close_up(trace):
    return trace.close_up(0)


@pytest.mark.server
def test_every_step_has_the_same_objects_and_its_own_points(trace):
    assert trace.labels[0] == "person 1"
    for step in trace.steps:
        assert [each.bbox for each in step.instances] == [each.bbox for each in trace.steps[0].instances]
        assert step.instances[0].points is None
    assert trace.points[0] is None
    for step, told in zip(trace.steps[1:], trace.points[1:], strict=True):
        assert len(told.instances[0].points) == 784
        assert told.instances[0].segmentation == step.instances[0].segmentation


@pytest.mark.server
def test_the_object_is_enlarged_and_its_mask_changes_with_each_step(close_up):
    width, height = close_up.picture.size
    assert max(width, height) == WINDOW_SIDE
    assert {mask.shape for mask in close_up.masks} == {(height, width)}
    assert len({mask.tobytes() for mask in close_up.masks}) == len(SIDES)
    for points in close_up.points[1:]:
        assert all(0 <= x < width and 0 <= y < height for x, y in points)


@pytest.mark.server
def test_points_lie_closer_to_the_outline_from_step_to_step(close_up):
    mask = close_up.masks[-1]
    outline = np.zeros(mask.shape, dtype=np.uint8)
    outline[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    outline[1:] |= mask[1:] != mask[:-1]
    near = np.asarray(Image.fromarray(outline).filter(ImageFilter.MaxFilter(15)))
    shares = [np.mean([near[int(y), int(x)] for x, y in points]) for points in close_up.points[1:]]
    assert shares[0] < shares[1] < shares[-1]


@pytest.mark.server
def test_numbers_are_those_of_the_masks(close_up):
    assert close_up.answers == (0, 784, 1568, 2352, 3136)
    assert close_up.overlaps[-1] == 1
    assert 0.5 < close_up.overlaps[0] < close_up.overlaps[1] < close_up.overlaps[2] < 1
    assert all(each > 0 for each in close_up.milliseconds)
    assert (close_up.constant_overlap is None) == (close_up.constant is None)
    if close_up.constant is not None:
        assert 0.5 < close_up.constant_overlap < close_up.overlaps[2]
        assert close_up.constant_milliseconds > 0


@pytest.mark.server
def test_each_step_is_explained(close_up):
    said = [close_up.explain(step) for step in range(len(SIDES))]
    assert "7 x 7: the coarse head guesses the whole object at once, in 49 cells." in said[0]
    assert "784 points, one a cell" in said[1]
    assert "in 14 x 14 cells" in said[1]
    assert "6% of its 12,544 cells" in said[3]


@pytest.mark.server
def test_the_comparison_is_there_where_the_model_has_both_heads(trace, close_up, served):
    assert (trace.constant is not None) == ("conv" in Client(served.url).describe()["mask_heads"])
    assert (drawn(close_up, 1)["constant"] is None) == (trace.constant is None)


@pytest.mark.server
def test_the_browser_is_sent_what_was_found(close_up):
    tree = drawn(close_up, 3)
    assert (tree["name"], tree["objects"]) == ("person 1", 3)
    assert (tree["width"], tree["height"]) == close_up.picture.size
    assert [step["grid"] for step in tree["steps"]] == ["7 x 7", "28 x 28", "56 x 56", "112 x 112", "224 x 224"]
    for step, mask in zip(tree["steps"], close_up.masks, strict=True):
        assert np.array_equal(full(step["mask"], mask.shape), mask)
    assert [len(step["points"]) for step in tree["steps"]] == [0, *[2 * 784] * 4]


@pytest.mark.server
def test_what_is_no_photo_is_refused(served):
    with pytest.raises(UnsupportedImage):
        RefinementTrace.ask(Client(served.url), b"nothing", on_step=lambda number, count: None)


def of(*masks, constant=None):
    height, width = masks[0].shape
    return CloseUp(
        "box 1", Image.new("RGB", (width, height)), masks, tuple(() for _ in masks), (1.0,) * len(masks), constant, None
    )


def test_the_detail_is_where_points_change_the_mask_most():
    coarse = np.zeros((90, 120), dtype=bool)
    coarse[20:70, 20:90] = True
    fine = coarse.copy()
    fine[60:70, 80:90] = False  # a corner; its size is that of a detail's half
    left, top, side = of(np.zeros_like(coarse), coarse, fine).detail
    assert side == 20
    assert left <= 80
    assert left + side >= 90
    assert top <= 60
    assert top + side >= 70


@pytest.mark.parametrize("filled", [False, True])
def test_a_mask_that_is_not_refined_has_a_detail_too(filled):
    mask = np.full((90, 120), fill_value=filled)
    left, top, side = of(mask).detail
    assert (left, top, side) == (0, 0, 20)
    mask[:, 60:] = not filled
    left, top, side = of(mask).detail
    assert left <= 60 <= left + side


def test_a_model_of_one_step_says_so():
    close_up = of(np.ones((9, 12), dtype=bool))
    assert "there is one step only" in close_up.explain(0)
    assert [step["grid"] for step in drawn(close_up, 1)["steps"]] == ["The only step"]


def test_empty_masks_agree():
    empty = np.zeros((9, 12), dtype=bool)
    assert of(empty, empty, constant=empty).overlaps == (1, 1)
    assert of(empty, empty, constant=~empty).constant_overlap == 0


@pytest.mark.server
def test_an_example_is_asked_for_once_for_everybody(served, tmp_path):
    import gradio as gr

    servers = Servers([Server("Here", served.url)])
    with Page(Uploads(tmp_path / "uploads"), sweep_seconds=60) as page:
        tab = HowTab(page, servers, gr.Dropdown(servers.labels))
    asked = []
    first = tab.ask_example("Here", gr.EventData(None, {"index": 0}), lambda *step, **_: asked.append(step))
    assert first[tab.view]["name"] == "person 1"
    assert len(asked) >= 2 * len(SIDES) - 1
    asked.clear()
    second = tab.ask_example("Here", gr.EventData(None, {"index": 0}), lambda *step, **_: asked.append(step))
    assert asked == []
    assert second[tab.kept] is first[tab.kept]
    assert tab.draw_object(first[tab.kept], 0) == first[tab.view]


@pytest.mark.filterwarnings("ignore:Choose an example")  # how gr.Warning is heard outside of a request
def test_an_example_that_there_is_not_is_refused(tmp_path):
    import gradio as gr

    servers = Servers([Server("Here", "http://127.0.0.1:9")])
    with Page(Uploads(tmp_path / "uploads"), sweep_seconds=60) as page:
        tab = HowTab(page, servers, gr.Dropdown(servers.labels))
    for index in (-1, len(EXAMPLES), "0", None, True):
        said = tab.ask_example("Here", gr.EventData(None, {"index": index}))
        assert said[tab.view]["said"] == f"⚠️ Choose an example from 0 to {len(EXAMPLES) - 1}."
    assert "from 0 to" in tab.ask_example("Here", gr.EventData(None, None))[tab.view]["said"]
    hostile: tuple[Any, ...] = (None, 0, "0")
    for chosen in hostile:
        assert tab.draw_object(None, chosen)["said"].startswith("Choose an image")
