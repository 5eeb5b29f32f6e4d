"""The page's scripts by themselves, in Chromium, against what Python says."""

from itertools import pairwise

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from gradio_app.browser import script
from pointrend.masks.alpha import soft_alpha
from pointrend.visualize.foreground import foreground

pytestmark = pytest.mark.browser
SIDES = "x", "y", "width", "height"


def run(browser, names, body, argument):
    page = browser.new_page()
    try:
        return page.evaluate(f"(argument) => {{ {script(*names)}\n{body} }}", argument)
    finally:
        page.close()


def random_masks(count=300):
    rng = np.random.default_rng(0)
    for number in range(count):
        height, width = rng.integers(1, 40, 2)
        mask = (rng.random((height, width)) < rng.choice([0, 0.05, 0.5, 0.95, 1])).astype(np.uint8)
        if number % 3 == 0:  # one rectangle, which may touch any edge
            mask[:] = 0
            top, left = rng.integers(0, height), rng.integers(0, width)
            mask[top : top + rng.integers(1, 20), left : left + rng.integers(1, 20)] = 1
        yield mask


def rle_of(mask):
    encoded = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def test_masks_are_decoded_as_pycocotools_does(browser):
    masks = [*random_masks(), np.kron(np.eye(3, dtype=np.uint8), np.ones((30, 40), np.uint8))]
    body = """return argument.map((rle) => {
        const mask = decodeMask(rle);
        return mask && {...mask, data: Array.from(mask.data)};
    })"""
    for mask, window in zip(masks, run(browser, ["masks"], body, [rle_of(mask) for mask in masks]), strict=True):
        if window is None:
            assert not mask.any()
            continue
        again = np.zeros_like(mask)
        rows, columns = window["height"], window["width"]
        place = slice(window["y"], window["y"] + rows), slice(window["x"], window["x"] + columns)
        again[place] = np.reshape(window["data"], (rows, columns))
        assert np.array_equal(again, mask)
        assert again[place][0].any()  # the window is tight
        assert again[place][:, -1].any()


def test_soft_edges_are_the_servers(browser):
    """Alpha to the level, colours to their rounding; of one mask, and of two that overlap or lie apart."""
    rng = np.random.default_rng(2)
    masks = [mask for mask in random_masks(60) if mask.any()]
    image = rng.integers(0, 256, (40, 40, 4), np.uint8)
    image[..., 3] = 255
    body = """return argument.pairs.map((pair) => {
        const alpha = softAlpha(unionOf(pair.map(decodeMask)), argument.width, argument.height);
        const pixels = new Uint8ClampedArray(4 * alpha.width * alpha.height);
        for (let row = 0; row < alpha.height; row++) {
            const start = 4 * ((row + alpha.y) * argument.width + alpha.x);
            pixels.set(argument.image.slice(start, start + 4 * alpha.width), 4 * row * alpha.width);
        }
        paintForeground(pixels, alpha);
        return {...alpha, data: Array.from(alpha.data), pixels: Array.from(pixels)};
    })"""
    placed = []
    for mask in masks:
        whole = np.zeros((40, 40), np.uint8)
        top, left = (rng.integers(0, 41 - side) for side in mask.shape)
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        placed.append(whole)
    pairs = [*([each] for each in placed), *pairwise(placed)]
    argument = {"pairs": [[rle_of(mask) for mask in pair] for pair in pairs], "width": 40, "height": 40}
    answers = run(browser, ["masks", "soft_edges"], body, {**argument, "image": image.ravel().tolist()})
    for pair, found in zip(pairs, answers, strict=True):
        expected = soft_alpha(np.logical_or.reduce(pair))
        shape = found["height"], found["width"]
        place = slice(found["y"], found["y"] + shape[0]), slice(found["x"], found["x"] + shape[1])
        np.testing.assert_array_equal(np.reshape(found["data"], shape), expected[place])
        assert not np.delete(expected.ravel(), np.arange(1600).reshape(40, 40)[place].ravel()).any()
        pixels = np.reshape(found["pixels"], (*shape, 4))
        np.testing.assert_array_equal(pixels[..., 3], expected[place])
        seen = expected[place] > 0
        colours = foreground(image[place][..., :3], expected[place])
        np.testing.assert_allclose(pixels[..., :3][seen], colours[seen], atol=1)


def test_labels_stay_on_the_stage_and_apart(browser):
    rng = np.random.default_rng(1)
    scenes = []
    for count in (1, 5, 40, 100):
        corners = rng.random((count, 2)) * (600, 300)
        sizes = rng.random((count, 2)) * (200, 100) + 2
        boxes = [dict(zip(SIDES, box, strict=True)) for box in np.hstack([corners, sizes]).tolist()]
        scenes.append([{"text": "a", "width": 20 + 12 * (number % 9), "box": box} for number, box in enumerate(boxes)])
    body = """return argument.map((wanted) => placeLabels(wanted, {width: 640, height: 360}, (x, y) => wanted.some(
        ({box}) => x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height)))"""
    for wanted, places in zip(scenes, run(browser, ["labels"], body, scenes), strict=True):
        assert len(places) == len(wanted)
        placed = [place for place in places if place]
        assert placed
        for index, a in enumerate(placed):
            assert 0 <= a["x"] <= 640 - a["width"]
            assert 0 <= a["y"] <= 360 - a["height"]
            for b in placed[:index]:
                apart = (
                    a["x"] >= b["x"] + b["width"]
                    or b["x"] >= a["x"] + a["width"]
                    or a["y"] >= b["y"] + b["height"]
                    or b["y"] >= a["y"] + a["height"]
                )
                assert apart
    # A single object with room above it is named there, not over itself.
    alone = {"text": "a", "width": 40, "box": dict(zip(SIDES, (200, 100, 90, 90), strict=True))}
    ((lone,),) = run(browser, ["labels"], body, [[alone]])
    assert lone["y"] + lone["height"] <= 100


def test_text_on_a_label_is_read_on_every_colour(browser):
    colours = [[red, green, blue] for red in (0, 90, 180, 255) for green in (0, 90, 180, 255) for blue in (0, 128, 255)]
    chosen = run(browser, ["labels"], "return argument.map(textColour)", colours)

    def luminance(colour):
        share = np.asarray(colour) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    for colour, text in zip(colours, chosen, strict=True):
        light, dark = sorted((luminance(colour), {"#000": 0, "#fff": 1}[text]), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_what_the_browser_remembers_is_read_whatever_stands_there(browser, page_url):
    page = browser.new_page()
    page.goto(page_url)
    for stored in ("not JSON", "{}", "7", '[{"id": 3}]', "null", "[null]"):
        page.evaluate("(stored) => localStorage.setItem('pointrend-results', stored)", stored)
        assert page.evaluate(f"() => {{ {script('keeping')}\nreturn keptResults() }}") == []
    page.close()
