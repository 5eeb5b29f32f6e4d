import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gradio_app.examples import EXAMPLES
from gradio_app.live import Meter, segment_frame, shrink
from pointrend.client import Client
from pointrend.images.colours import srgb_profile
from pointrend.images.convert import to_pixels
from pointrend.images.decode import decode
from pointrend.images.icc import DISPLAY_P3, SRGB_CURVE, matrix_profile
from pointrend.structures.prediction import Prediction


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


def test_a_frame_is_sent_as_srgb_and_says_so():
    sent = []

    def segment(data, **_):
        sent.append(data)
        return Prediction(60, 40, (), {})

    frame = Image.new("RGB", (60, 40), (60, 120, 200))
    frame.info["icc_profile"] = matrix_profile(DISPLAY_P3, SRGB_CURVE)
    drawn, _ = segment_frame(SimpleNamespace(segment=segment), frame, 0.5)
    assert drawn[0, 0].tolist() == to_pixels(frame)[0, 0].tolist() != [60, 120, 200]
    with Image.open(io.BytesIO(sent[0])) as picture:
        assert picture.info["icc_profile"] == srgb_profile()
    assert np.abs(decode(sent[0]).astype(int) - to_pixels(frame)).max() <= 3
    assert frame.size == (60, 40)


@pytest.mark.server
def test_a_frame_comes_back_with_masks(served):
    frame = Image.open(EXAMPLES[0].path).resize((640, 640))
    drawn, prediction = segment_frame(Client(served.url), frame, 0.5)
    assert drawn.shape == (320, 320, 3)
    assert "person" in {instance.category for instance in prediction.instances}
