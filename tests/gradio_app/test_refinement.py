import numpy as np
import pytest

from gradio_app.examples import EXAMPLES
from gradio_app.refinement import SIDES, WINDOW_SIDE, RefinementTrace
from pointrend.client import Client
from pointrend.errors import UnsupportedImage

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def trace(served):
    asked = []
    trace = RefinementTrace.ask(
        Client(served.url), EXAMPLES[0].path.read_bytes(), on_step=lambda number, count: asked.append((number, count))
    )
    count = len(SIDES) + (trace.constant is not None)
    assert asked == [(number, count) for number in range(count)]
    return trace


def test_every_step_has_the_same_objects_and_its_own_points(trace):
    assert trace.labels[0] == "person 1"
    for step in trace.steps:
        assert [each.bbox for each in step.instances] == [each.bbox for each in trace.steps[0].instances]
    assert [len(step.instances[0].points) for step in trace.steps] == [0, 784, 784, 784, 784]


def test_pictures_show_the_object_enlarged_and_change_with_each_step(trace):
    pictures = [trace.draw_step(0, step, points=False) for step in range(len(SIDES))]
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert max(pictures[0].shape[:2]) == WINDOW_SIDE
    assert len({picture.tobytes() for picture in pictures}) == len(SIDES)


def test_points_are_drawn_where_they_are_asked_for(trace):
    with_points, without = (trace.draw_step(0, 3, points=points) for points in (True, False))
    assert 0.01 < (with_points != without).any(axis=2).mean() < 0.5
    assert np.array_equal(trace.draw_step(0, 0, points=True), trace.draw_step(0, 0, points=False))


def test_each_step_is_explained(trace):
    said = [trace.explain(0, step) for step in range(len(SIDES))]
    assert "49 cells" in said[0]
    assert "784 points, one a cell" in said[1]
    assert "6% of its 12,544 cells" in said[3]


def test_the_comparison_is_there_where_the_model_has_both_heads(trace, served):
    compared = trace.draw_comparison(0)
    assert (compared is not None) == ("conv" in Client(served.url).describe()["mask_heads"])
    if compared is not None:
        assert compared[0].shape == compared[1].shape
        assert not np.array_equal(*compared)


def test_what_is_no_photo_is_refused(served):
    with pytest.raises(UnsupportedImage):
        RefinementTrace.ask(Client(served.url), b"nothing", on_step=lambda number, count: None)
