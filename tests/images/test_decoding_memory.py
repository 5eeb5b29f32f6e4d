"""What decoding takes at its peak, measured, is no more than was said before: by every kind of file, hostile or not."""

from __future__ import annotations

import pytest

from pointrend.images.limits import ImageLimits
from pointrend.images.metadata import TEXT_BYTES, without_texts
from tests.images.hostile_files import chunk, png
from tests.peak_memory import printed_by

SPARE = 4_000_000  # of strips while they are converted, and of the allocator
MEASURE = """
import json, warnings
from pointrend.errors import RequestError
from pointrend.images.decode import decode, open_image
from pointrend.images.limits import ImageLimits
from pointrend.images.memory import decoding_bytes
from tests.images.hostile_files import files
from tests.peak_memory import peak_of

warnings.simplefilter("ignore")

def attempt(action):
    try:
        return action(), "read"
    except RequestError as error:
        return None, error.code

def bound(data):
    with open_image(data, ImageLimits(max_memory=1 << 40)) as image:
        return decoding_bytes(image)

for name, data in files():
    decode_now = lambda: decode(data).shape
    allowed, _ = attempt(lambda: bound(data))
    attempt(decode_now)  # what is loaded once, such as LittleCMS
    (shape, outcome), taken = peak_of(lambda: attempt(decode_now))
    print(json.dumps([name, len(data), taken, allowed, outcome, shape]), flush=True)
"""


@pytest.fixture(scope="module")
def measured():
    return {name: figures for name, *figures in printed_by(MEASURE)}


def test_no_file_takes_more_than_its_bound(measured):
    above = {
        name: f"{taken / 1e6:.1f} MB of {(allowed or 0) / 1e6:.1f}"
        for name, (size, taken, allowed, _, _) in measured.items()
        if taken > (3 * size if allowed is None else allowed) + SPARE
    }
    assert not above
    assert len(measured) > 60
    assert max(taken for _, taken, *_ in measured.values()) < ImageLimits().max_memory


def test_hostile_files_are_refused_or_read_without_what_is_hostile(measured):
    outcomes = {name: (outcome, shape) for name, (_, _, _, outcome, shape) in measured.items()}
    assert outcomes["tiff-tile"] == ("image_too_large", None)
    assert outcomes["tiff-2500000-strips"] == ("unsupported_image", None)
    for name in ("png-texts", "png-texts-behind", "tiff-tags"):
        assert outcomes[name] == ("read", [8, 8, 3]), name
    for name in ("exif-jpeg", "exif-png", "exif-webp", "exif-avif"):
        assert outcomes[name] == ("read", [8, 16, 3]), name  # turned: the orientation is read all the same
    others = {name: outcome for name, (outcome, _) in outcomes.items() if not name.startswith(("tiff", "png", "exif"))}
    assert set(others.values()) == {"read"}


def test_texts_that_tell_the_orientation_stay():
    told = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b'tiff:Orientation="6"'.ljust(TEXT_BYTES))
    long = chunk(b"tEXt", b"Comment\0" + b"a" * TEXT_BYTES)
    assert without_texts(png(long + told + told, told)) == png(told)
    short = png(chunk(b"tEXt", b"Comment\0a"))
    assert without_texts(short) is short
    assert without_texts(b"no PNG") == b"no PNG"
