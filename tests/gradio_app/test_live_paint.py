"""What the live view's script works out, run by itself in a real Chromium."""

import pytest

from gradio_app.browser import script

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def blank(browser):
    page = browser.new_page()
    page.add_script_tag(content=script("masks", "live_paint"))
    yield page
    page.close()


@pytest.mark.parametrize(
    ("times", "now", "said"),
    [
        ([], 0, ""),
        ([1000], 1000, ""),
        ([0, 100, 200, 300], 300, "10 frames a second"),
        ([0, 400, 800], 800, "2.5 frames a second"),
        ([0, 4000, 8000], 8000, "A frame every 4 s"),
        ([0, 100, 200], 7200, "A frame every 7 s"),  # and still waiting
        ([0, 1000], 1000, "1.0 frames a second"),
    ],
)
def test_the_rate_is_said_as_it_is(blank, times, now, said):
    assert blank.evaluate("([times, now]) => rateSentence(times, now)", [times, now]) == said


def test_times_of_the_last_seconds_count_and_three_at_least(blank):
    recent = "([times, now]) => recent(times, now)"
    assert blank.evaluate(recent, [[0, 100, 4000, 5000, 6000, 6500], 6500]) == [4000, 5000, 6000, 6500]
    assert blank.evaluate(recent, [[0, 9000, 18000, 27000], 27000]) == [9000, 18000, 27000]


def test_labels_are_whole_and_cover_each_other_nowhere(blank):
    boxes = [[x, y, 60, 50] for x in (-5, 20, 40, 250, 300) for y in (-3, 10, 30, 200)]
    labels = [{"box": box, "width": 90} for box in boxes]
    places = blank.evaluate("(labels) => placeLabels(labels, 320, 240, 20)", labels)
    shown = [place for place in places if place is not None]
    assert len(shown) >= 10
    assert places[0] is not None
    for left, top in shown:
        assert 0 <= left <= 320 - 90
        assert 0 <= top <= 240 - 20
    for number, (left, top) in enumerate(shown):
        for other_left, other_top in shown[:number]:
            assert abs(left - other_left) >= 90 or abs(top - other_top) >= 20


def test_a_label_wider_than_the_picture_is_left_out(blank):
    labels = [{"box": [0, 0, 60, 50], "width": 400}, {"box": [0, 0, 60, 50], "width": 90}]
    assert blank.evaluate("(labels) => placeLabels(labels, 320, 240, 20)", labels) == [None, [0, 0]]


def test_an_object_keeps_its_colour_as_it_moves_and_others_come(blank):
    frames = [
        [("cat", [10, 10, 50, 50])],
        [("dog", [200, 10, 50, 50]), ("cat", [20, 12, 50, 50])],
        [("cat", [30, 14, 50, 50]), ("cat", [120, 14, 50, 50]), ("dog", [205, 10, 50, 50])],
        [("dog", [210, 10, 50, 50])],
    ]
    objects = [[{"name": name, "box": box} for name, box in frame] for frame in frames]
    seen = blank.evaluate(
        "(frames) => { const c = new Colours(24); return frames.map((each) => c.of(each)); }", objects
    )
    assert seen == [[0], [1, 0], [0, 2, 1], [1]]


def test_more_objects_than_colours_have_a_colour_each(blank):
    objects = [{"name": "ball", "box": [20 * n, 0, 10, 10]} for n in range(6)]
    assert set(blank.evaluate("(objects) => new Colours(4).of(objects)", objects)) == {0, 1, 2, 3}
