"""Names of results: simple where they can be, and never two results of one name."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from pointrend.predict.images import ImageFile
from pointrend.predict.names import ENDINGS, NamesError, ResultNames, split_suffix

FILES = [ending for ending in ENDINGS if ending != ".partial"]


def image(name: str, folder: str = "/in") -> ImageFile:
    return ImageFile(Path(folder, name), name, (1, 1))


def keys(*names: str) -> list[str]:
    return [each.key for each in ResultNames(Path("none")).assign([image(name) for name in names])]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat.png", "sub/cat.jpg", "no-suffix", "two.dots.jpg"], ["cat", "sub/cat", "no-suffix", "two.dots"]),
        (["a.jpg", "a.png"], ["a_jpg", "a_png"]),
        (["cat.png", "cat/1.png", "cat/person-1.png"], ["cat_png", "cat/1", "cat/person-1"]),
        (["x.y/cat.png", "x.y/cat/1.png"], ["x.y/cat_png", "x.y/cat/1"]),
        (["a.png.jpg"], ["a.png_jpg"]),
        (["a.jpg", "a.png/1.jpg"], ["a_jpg", "a.png/1"]),
        (["dot..jpg", "space .jpg"], ["dot._jpg", "space _jpg"]),
    ],
)
def test_the_rule(names: list[str], expected: list[str]) -> None:
    assert keys(*names) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["a.jpg", "a.png", "a_png.jpg"],
        ["a.jpg", "a.png", "a_png.jpg", "a_png_jpg.jpg", "a_jpg/1.jpg"],
        ["A/1.jpg", "a/1.jpg", "a/1.JPG"],
        ["straße.jpg", "STRASSE.jpg"],
        ["e\u0301.jpg", "\u00e9.jpg"],
        ["cat.png", "CAT/1.png"],
        [".jpg", ".png", "..png", "..jpg"],
        ["a", "a.", "a ", "a.jpg", "a..jpg"],
        ["caf\udce9.jpg", "caf\udcea.jpg", "caf\\xe9.jpg"],
        ["a\n.jpg", "a\r.jpg", "a\u2028.jpg", "a\x85.jpg"],
        ["a.json.jpg", "a.jpg", "a/b.jpg", "a.json/1.jpg", "a.txt.png", "a.png.png"],
        ["names.jsonl/1.jpg", "names.jpg", "report.jpg", "report.jsonl.jpg"],
        ["n" * 251 + ".jpg", "n" * 251 + ".png", "n" * 250 + "1.jpg", "é" * 125 + ".jpg", "n" * 255],
    ],
)
def test_no_two_results_of_one_name(names: list[str]) -> None:
    for order in itertools.islice(itertools.permutations(names), 24):
        given = dict(zip(order, keys(*order), strict=True))
        files: set[str] = set()
        folders: set[str] = set()
        for name, key in given.items():
            own = {key.lower() + ending for ending in ("", *FILES, split_suffix(name)[1].lower())}
            assert not own & files, given
            assert all(len(os.fsencode(part + ".jsonl")) <= 255 for part in key.split("/")), key
            assert not key.endswith((".", " ", "/"))
            files |= own
            folders |= {str(parent).lower() for parent in Path(key).parents if str(parent) != "."}
        assert not files & folders, given
    assert len(set(given)) == len(names)


def test_names_stay_whatever_comes_later(tmp_path: Path) -> None:
    names = ResultNames.open(tmp_path)
    assert [each.key for each in names.assign([image("cat.png"), image("odd\n\u2028\udce9.jpg")])] == [
        "cat",
        "odd\n\u2028\udce9",
    ]
    names.save()
    again = ResultNames.open(tmp_path)
    found = again.assign([image(name) for name in ("cat/1.png", "cat.jpg", "cat.png", "odd\n\u2028\udce9.jpg")])
    assert found[0].key.startswith("1-")  # the folder cat/ is the masks of cat.png
    assert [each.key for each in found[1:]] == ["cat_jpg", "cat", "odd\n\u2028\udce9"]
    [other] = again.assign([image("cat.png", "/elsewhere")])
    assert other.key == "cat_png"
    again.save()
    assert ResultNames.open(tmp_path).given == again.given


def test_what_is_there_already_is_not_taken_for_a_result() -> None:
    found = ResultNames(Path("none")).assign([image("cat.png")], lambda _image, key: key == "cat")
    assert [each.key for each in found] == ["cat_png"]
    with pytest.raises(NamesError, match="no free name"):
        ResultNames(Path("none")).assign([image("cat.png")], lambda _image, _key: True)


@pytest.mark.parametrize("line", ["{", '{"image": "/in/cat.png"}', "[]", "é"])
def test_a_damaged_list_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "names.jsonl").write_text(json.dumps({"image": "/in/a.png", "name": "a"}) + f"\n{line}\n")
    with pytest.raises(NamesError, match=r"damaged|cannot be read"):
        ResultNames.open(tmp_path)
