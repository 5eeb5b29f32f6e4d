import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from pointrend.masks.alpha import soft_alpha
from pointrend.masks.polygons import polygons
from pointrend.visualize.effects import EFFECTS, apply_effect
from pointrend.visualize.foreground import foreground


def rle(mask):
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def disc(size, y, x, radius):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def noise(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


SIZE = (300, 200)
FIRST, SECOND = disc(SIZE, 100, 80, 50), disc(SIZE, 150, 120, 60)
UNION = FIRST | SECOND
MASKS = [rle(FIRST), rle(SECOND)]


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_the_masks_cover_stays(effect):
    image = noise(SIZE)
    before = image.copy()
    changed = apply_effect(image, MASKS, effect, background=noise((50, 70), 1), alpha="hard")
    assert changed.shape == (*SIZE, 4 if effect == "transparent" else 3)
    assert changed.dtype == np.uint8
    np.testing.assert_array_equal(changed[UNION][:, :3], image[UNION])
    assert (changed[~UNION][:, :3] != image[~UNION]).any(axis=1).mean() > 0.99
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("effect", EFFECTS)
def test_no_object_and_nothing_but_an_object(effect):
    image = noise((40, 60))
    none = apply_effect(image, [], effect, background=noise((9, 9), 1))
    assert not np.array_equal(none[..., :3], image)
    everything = apply_effect(image, [rle(np.ones((40, 60), bool))], effect, background=noise((9, 9), 1))
    np.testing.assert_array_equal(everything[..., :3], image)


def test_transparent_holds_nothing_of_the_background():
    changed = apply_effect(noise(SIZE), MASKS, "transparent", alpha="hard")
    np.testing.assert_array_equal(changed[..., 3], UNION * np.uint8(255))
    assert not changed[~UNION].any()
    soft = apply_effect(noise(SIZE), MASKS, "transparent")
    np.testing.assert_array_equal(soft[..., 3] >= 128, UNION)
    assert not soft[soft[..., 3] == 0].any()


@pytest.mark.parametrize("effect", EFFECTS)
def test_soft_edges_are_a_mixture_and_the_rest_is_as_with_hard_ones(effect):
    image, wall = noise(SIZE), noise(SIZE, 1)
    soft, hard = (apply_effect(image, MASKS, effect, background=wall, alpha=alpha) for alpha in ("soft", "hard"))
    alpha = soft_alpha(UNION)
    away = (alpha == 0) | (alpha == 255)
    np.testing.assert_array_equal(soft[away], hard[away])
    if effect == "picture":
        edge, share = ~away, alpha[~away][:, None] / 255
        own = foreground(image, alpha)[edge]
        np.testing.assert_allclose(soft[edge], share * own + (1 - share) * wall[edge], atol=1)


def test_grey_is_pillows():
    image = noise((700, 30))
    changed = apply_effect(image, [], "grey")
    np.testing.assert_array_equal(changed[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    assert np.array_equal(changed[..., 0], changed[..., 1])
    assert np.array_equal(changed[..., 0], changed[..., 2])


def test_one_colour():
    changed = apply_effect(noise(SIZE), MASKS, "colour", colour=(1, 2, 3), alpha="hard")
    assert (changed[~UNION] == (1, 2, 3)).all()
    assert (apply_effect(noise(SIZE), MASKS, "colour")[soft_alpha(UNION) == 0] == 255).all()


@pytest.mark.parametrize("scale", [1, 7])
def test_an_object_does_not_bleed_into_the_blur(scale):
    """A red object before a blue wall: beside it the wall is as blue as anywhere."""
    size = (SIZE[0] * scale, SIZE[1] * scale)
    mask = disc(size, 150 * scale, 100 * scale, 60 * scale)
    image = np.full((*size, 3), (0, 0, 200), np.uint8)
    image[mask] = (250, 0, 0)
    changed = apply_effect(image, [rle(mask)], "blur", alpha="hard")
    assert (changed[mask] == (250, 0, 0)).all()
    outside = changed[~mask].astype(int)
    assert np.abs(outside - (0, 0, 200)).max() <= 4


def test_the_blur_grows_with_the_image():
    """The same scene at three times the size is blurred over three times the pixels."""

    def edge(size):
        image = np.zeros((size, size, 3), np.uint8)
        image[:, size // 2 :] = 255
        row = apply_effect(image, [], "blur")[size // 2, :, 0]
        return np.count_nonzero((row > 25) & (row < 230)) / size

    assert edge(400) == pytest.approx(edge(1200), rel=0.15)
    assert edge(400) == pytest.approx(edge(3000), rel=0.15)
    assert 0.02 < edge(400) < 0.2


def test_strips_meet_without_a_seam():
    """A smooth slope stays one, over all strips and at a size that no strip divides."""
    slope = np.linspace(0, 250, 1537)
    image = np.repeat(np.repeat(slope.astype(np.uint8)[:, None, None], 50, 1), 3, 2)
    for changed in (
        apply_effect(image, [], "blur"),
        apply_effect(np.zeros_like(image), [], "picture", background=image[::3]),
    ):
        steps = np.diff(changed[40:-40, 25, 0].astype(int))
        assert steps.min() >= 0
        assert steps.max() <= 1


@pytest.mark.parametrize(
    ("background", "expected"),
    [
        # A wide one loses its sides, a high one top and bottom; each has its thirds in three colours.
        (np.repeat(np.array([[10, 20, 30]], np.uint8), 40, 1)[..., None].repeat(40, 0).repeat(3, 2), 20),
        (np.repeat(np.array([[10], [20], [30]], np.uint8), 40, 0)[..., None].repeat(40, 1).repeat(3, 2), 20),
    ],
    ids=["wide", "high"],
)
def test_a_picture_covers_from_its_middle(background, expected):
    changed = apply_effect(np.zeros((90, 90, 3), np.uint8), [], "picture", background=background)
    assert (changed[5:-5, 5:-5] == expected).all()


def test_a_picture_is_scaled_to_cover():
    background = noise((100, 80))
    changed = apply_effect(np.zeros((100, 80, 3), np.uint8), [], "picture", background=background)
    np.testing.assert_array_equal(changed, background)


def test_polygons_are_masks_too():
    outline = polygons(FIRST, 0, 0)
    changed = apply_effect(noise(SIZE), [outline], "transparent")
    assert np.count_nonzero((changed[..., 3] >= 128) ^ FIRST) < 0.03 * FIRST.sum()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_tiny_and_narrow(effect, size):
    mask = np.zeros(size, bool)
    mask[0, 0] = True
    image = noise(size)
    assert apply_effect(image, [rle(mask)], effect, background=noise((3, 5), 1)).shape[:2] == size
    changed = apply_effect(image, [rle(mask)], effect, background=noise((3, 5), 1), alpha="hard")
    assert changed.shape[:2] == size
    np.testing.assert_array_equal(changed[0, 0, :3], image[0, 0])


def test_memory_is_bounded():
    """Of 24 megapixels: no more at a time than the result, the union of the masks and some strips."""
    import tracemalloc

    size = (4000, 6000)
    image = np.zeros((*size, 3), np.uint8)
    mask = rle(disc(size, 2000, 3000, 1500))
    for effect in ("blur", "grey", "picture"):
        tracemalloc.start()
        apply_effect(image, [mask], effect, background=image[:100, :100])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * image.nbytes


def test_what_is_refused():
    image = noise(SIZE)
    with pytest.raises(ValueError, match="one of blur, grey, colour, transparent, picture, not 'sepia'"):
        apply_effect(image, MASKS, "sepia")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs another image"):
        apply_effect(image, MASKS, "picture")
    with pytest.raises(ValueError, match="from 0 to 255"):
        apply_effect(image, MASKS, "colour", colour=(0, 0, 256))
    with pytest.raises(ValueError, match="rows and columns"):
        apply_effect(image[1:], MASKS, "grey")
