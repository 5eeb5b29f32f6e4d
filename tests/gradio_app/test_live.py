import contextlib
import io

import pytest
from PIL import Image

from gradio_app.examples import EXAMPLES
from gradio_app.live import FRAME_BYTES, FULL, IDLE_SECONDS, IN_FLIGHT, OVER, Viewers, find_objects
from pointrend.client import Client
from pointrend.errors import RequestError
from pointrend.masks.decode import full


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def look(viewers, name, *, is_first=False):
    with viewers.frame(name, is_first=is_first):
        pass


def test_so_many_watch_at_once_and_the_next_one_when_somebody_stops(clock):
    viewers = Viewers(2, 60, clock)
    look(viewers, "a")
    look(viewers, "b")
    with pytest.raises(RequestError, match="2 others are using the live view") as refused:
        look(viewers, "c")
    assert refused.value.code == FULL
    clock.now += IDLE_SECONDS - 1
    look(viewers, "b")
    clock.now += 1
    look(viewers, "c")  # instead of a, who has sent nothing for so long
    with pytest.raises(RequestError, match="2 others"):
        look(viewers, "a")


def test_who_waits_for_a_slow_answer_keeps_the_place(clock):
    viewers = Viewers(1, 600, clock)
    with viewers.frame("a", is_first=True):
        clock.now += 10 * IDLE_SECONDS
        with pytest.raises(RequestError, match="1 others"):
            look(viewers, "b")
    clock.now += IDLE_SECONDS - 1
    look(viewers, "a")


def test_a_viewer_stops_after_some_minutes_until_the_button_is_pressed_again(clock):
    viewers = Viewers(1, 120, clock)
    look(viewers, "a", is_first=True)
    for _ in range(40):
        clock.now += 3
        look(viewers, "a")
    clock.now += 3
    with pytest.raises(RequestError, match=r"Stopped after 2 minutes\. Press Start to go on\.") as over:
        look(viewers, "a")
    assert over.value.code == OVER
    look(viewers, "a", is_first=True)
    clock.now += 3
    look(viewers, "a")


def test_few_frames_of_a_viewer_are_looked_at_at_once(clock):
    viewers = Viewers(1, 60, clock)
    with contextlib.ExitStack() as stack:
        for _ in range(IN_FLIGHT):
            stack.enter_context(viewers.frame("a", is_first=False))
        with pytest.raises(RequestError, match="send the next after an answer") as refused:
            look(viewers, "a")
    assert refused.value.code == "rate_limited"
    look(viewers, "a")


def test_a_frame_that_fails_is_over_too(clock):
    viewers = Viewers(1, 60, clock)
    for _ in range(IN_FLIGHT + 1):
        with pytest.raises(RuntimeError), viewers.frame("a", is_first=False):
            raise RuntimeError


def test_a_large_frame_is_refused_before_it_is_sent():
    with pytest.raises(RequestError, match=f"may have {FRAME_BYTES} bytes, this one has {FRAME_BYTES + 1}"):
        find_objects(Client("http://127.0.0.1:9"), bytes(FRAME_BYTES + 1), 0.5)


@pytest.mark.server
def test_a_frame_is_answered_with_masks(served):
    file = io.BytesIO()
    with Image.open(EXAMPLES[0].path) as photo:
        photo.convert("RGB").resize((320, 320)).save(file, "JPEG")
    answer = find_objects(Client(served.url), file.getvalue(), 0.5)
    assert (answer["width"], answer["height"]) == (320, 320)
    assert answer["ms"] > 0
    person = next(each for each in answer["objects"] if each["name"] == "person")
    assert 0.5 <= person["score"] <= 1
    x, y, width, height = person["box"]
    mask = full(person["mask"], (320, 320))
    rows, columns = mask.nonzero()
    assert mask.mean() > 0.2
    assert x - 8 <= columns.min() <= columns.max() <= x + width + 8
    assert y - 8 <= rows.min() <= rows.max() <= y + height + 8
