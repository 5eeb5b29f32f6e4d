import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pointrend.masks.rle import decode_crop, encode_crop, runs


@given(st.data())
def test_a_crop_encodes_as_its_full_frame_does(data):
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    rows, columns = data.draw(st.integers(1, height - y)), data.draw(st.integers(1, width - x))
    bits = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    crop = np.array(bits).reshape(rows, columns)
    full = np.zeros((height, width), dtype=np.uint8, order="F")
    full[y : y + rows, x : x + columns] = crop

    encoded = encode_crop(crop, x, y, height, width)

    expected = coco_mask.encode(full)
    assert encoded == {"size": [height, width], "counts": expected["counts"].decode("ascii")}


def test_a_window_outside_the_photo_is_refused():
    with pytest.raises(ValueError, match="not inside an image of 4x3"):
        encode_crop(np.ones((2, 2), dtype=bool), 3, 0, 3, 4)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_crops_agree_with_pycocotools(height, width, seed, density):
    mask = np.random.default_rng(seed).random((height, width)) < density
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    x, y, crop = decode_crop({"size": [height, width], "counts": encoded["counts"].decode()})
    pasted = np.zeros_like(mask)
    pasted[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    np.testing.assert_array_equal(pasted, mask)
    if mask.any():
        assert crop[:, 0].any()
        assert crop[:, -1].any()
        whole_columns = (mask[-1, :-1] & mask[0, 1:]).any()
        assert whole_columns or (crop[0].any() and crop[-1].any())
    else:
        assert crop.size == 0


def test_long_runs_of_a_large_photo():
    encoded = encode_crop(np.ones((5, 7), bool), 3990, 2990, 3000, 4000)
    x, y, crop = decode_crop(encoded)
    assert (x, y, crop.shape, bool(crop.all())) == (3990, 2990, (5, 7), True)


@pytest.mark.parametrize("counts", ["", "o", "54"])
def test_runs_that_do_not_fill_the_photo_are_refused(counts):
    with pytest.raises(ValueError, match="runs of a mask"):
        decode_crop({"size": [3, 4], "counts": counts})


ALPHABET = "".join(map(chr, range(48, 112)))


@given(
    st.lists(st.one_of(st.integers(0, 40), st.integers(-5, 2**40), st.floats()), max_size=3),
    st.one_of(st.text(ALPHABET, max_size=40), st.text(max_size=10), st.binary(max_size=20), st.integers(), st.none()),
)
def test_anything_is_decoded_or_refused(size, counts):
    try:
        x, y, crop = decode_crop({"size": size, "counts": counts})
    except ValueError:
        return
    assert y + crop.shape[0] <= size[0]
    assert x + crop.shape[1] <= size[1]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.data())
def test_damaged_runs_are_refused_or_fill_the_photo(height, width, seed, data):
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    counts = encode_crop(mask, 0, 0, height, width)["counts"]
    at = data.draw(st.integers(0, len(counts) - 1))
    damaged = counts[:at] + data.draw(st.text(ALPHABET, max_size=3)) + counts[at + 1 :]
    try:
        starts, ends = runs({"size": [height, width], "counts": damaged})
    except ValueError:
        return
    assert (starts >= 0).all()
    assert (ends <= height * width).all()
    assert (ends > starts).all()
    assert (starts[1:] >= ends[:-1]).all()


def test_a_mask_that_would_fill_the_memory_is_refused():
    with pytest.raises(ValueError, match="at most 4294967295 pixels"):
        decode_crop({"size": [10**9, 10**9], "counts": "0"})
    whole = encode_crop(np.ones((1, 1), bool), 0, 0, 1, 1)["counts"]
    huge = coco_mask.frPyObjects({"size": [60_000, 60_000], "counts": [0, 3_600_000_000]}, 60_000, 60_000)
    with pytest.raises(ValueError, match="too large: at most 536870912"):
        decode_crop({"size": [60_000, 60_000], "counts": huge["counts"].decode()})
    assert decode_crop({"size": [1, 1], "counts": whole})[2].all()
