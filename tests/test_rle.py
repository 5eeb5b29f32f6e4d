import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pointrend.rle import encode_crop


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
    with pytest.raises(ValueError, match="not inside a photo of 4x3"):
        encode_crop(np.ones((2, 2), dtype=bool), 3, 0, 3, 4)
