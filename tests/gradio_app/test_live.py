import pytest
from PIL import Image

from gradio_app.examples import EXAMPLES
from gradio_app.live import Meter, segment_frame, shrink
from pointrend.client import Client


def test_frames_are_counted_over_the_last_seconds():
    meter = Meter()
    assert meter.frame(now=10.0) == 0
    assert meter.frame(now=10.5) == pytest.approx(2.0)
    for tenth in range(1, 41):
        rate = meter.frame(now=10.5 + tenth / 10)
    assert rate == pytest.approx(10.0)
    assert meter.frame(now=100.0) == 0  # after a pause it starts anew


@pytest.mark.parametrize(("size", "small"), [((640, 480), (320, 240)), ((480, 1280), (120, 320)), ((64, 48), (64, 48))])
def test_frames_are_sent_at_most_320_pixels_wide(size, small):
    assert shrink(Image.new("RGBA", size)).size == small
    assert shrink(Image.new("RGBA", size)).mode == "RGB"


@pytest.mark.server
def test_a_frame_comes_back_with_masks(served):
    frame = Image.open(EXAMPLES[0].path).resize((640, 640))
    drawn, prediction = segment_frame(Client(served.url), frame, 0.5)
    assert drawn.shape == (320, 320, 3)
    assert "person" in {instance.category for instance in prediction.instances}
