"""Configuration files from strangers: what they may read, and how much a few bytes may cost."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pointrend.config.files import config_from_dict
from pointrend.config.text import MAX_DEPTH, MAX_NODES
from pointrend.config.tree import MAX_FILES, nest, read_tree
from pointrend.errors import ConfigError
from pointrend.training.config import TrainingConfig

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    return path


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_tree(path)
    text = str(caught.value)
    assert len(text) < 2500
    return text


def test_bases_outside_the_folder_are_refused_and_a_root_allows_them(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.yaml", "A: 1\n")
    (folder / "link.yaml").symlink_to("../outside.yaml")
    for name in ("../outside.yaml", str(tmp_path / "outside.yaml"), "link.yaml", "x/../../outside.yaml"):
        text = refusal(write(folder / "config.yaml", f"_BASE_: {name}\n"))
        assert f"outside of {folder}" in text
        assert "--config-root" in text
        assert str(tmp_path) in text
        if "x/" not in name:
            assert read_tree(folder / "config.yaml", tmp_path) == {"A": 1}


def test_bases_inside_the_folder_may_be_anywhere_in_it(folder: Path) -> None:
    (folder / "parts").mkdir()
    write(folder / "a.yaml", "A: 1\n")
    write(folder / "parts" / "b.yaml", "_BASE_: ../a.yaml\nB: 2\n")
    (folder / "link.yaml").symlink_to("parts/b.yaml")
    for name in ("parts/b.yaml", str(folder / "parts" / "b.yaml"), "link.yaml", "./parts/../parts/b.yaml"):
        assert read_tree(write(folder / "config.yaml", f"_BASE_: {name}\n")) == {"A": 1, "B": 2}


def test_the_named_file_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    write(folder / "base.yaml", "A: 1\n")
    write(tmp_path / "blob", "_BASE_: base.yaml\n")
    (folder / "config.yaml").symlink_to("../blob")
    assert read_tree(folder / "config.yaml") == {"A": 1}


@pytest.mark.parametrize("kind", ["fifo", "folder", "absent", "loop", "device"])
def test_only_regular_files_are_opened(folder: Path, kind: str) -> None:
    place = folder / "base.yaml"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "loop":
        place.symlink_to("base.yaml")
    elif kind == "device":
        place.symlink_to("/dev/zero")
    words = {"fifo": "a FIFO", "folder": "a folder", "absent": "No such", "loop": "Too many", "device": "outside of"}
    assert words[kind] in refusal(write(folder / "config.yaml", "_BASE_: base.yaml\n"))
    if kind == "device":
        assert "it is a device" in refusal(place)
    else:
        assert words[kind] in refusal(place)


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("3", "not int"),
        ("", "not NoneType"),
        ("true", "not bool"),
        ("{a: b}", "not dict"),
        ("[[a.yaml]]", "not list"),
        ("[a.yaml, 3]", "not int"),
        ("''", "1 to 1000 characters"),
        ('"a\\0b"', "NUL"),
        ("~/x.yaml", "not followed"),
        ("https://example.org/x.yaml", "not followed"),
        ("file:///etc/passwd", "not followed"),
        ("a" * 1001, "1 to 1000 characters"),
        ("a" * 300, "File name too long"),
        ("[" + "a.yaml," * 50_000 + "]", "No such file"),
    ],
    ids=lambda value: value[:20],
)
def test_what_names_no_file_is_refused(folder: Path, base: str, words: str) -> None:
    text = refusal(write(folder / "config.yaml", f"_BASE_: {base}\n"))
    assert words in text
    assert "_BASE_" in text or "a.yaml" in text or "aaa" in text


def test_files_that_double_are_counted(folder: Path) -> None:
    for number in range(22):
        write(folder / f"{number}.yaml", f"_BASE_: [{number + 1}.yaml, {number + 1}.yaml]\n")
    write(folder / "22.yaml", "A: 1\n")
    text = refusal(folder / "0.yaml")
    assert f"more than {MAX_FILES} files" in text
    assert "0.yaml -> 1.yaml -> 2.yaml" in text


def test_a_file_may_be_based_on_twice(folder: Path) -> None:
    write(folder / "root.yaml", "A: 1\n")
    write(folder / "left.yaml", "_BASE_: root.yaml\nB: 1\n")
    write(folder / "right.yaml", "_BASE_: root.yaml\nC: 1\n")
    assert read_tree(write(folder / "top.yaml", "_BASE_: [left.yaml, right.yaml]\n")) == {"A": 1, "B": 1, "C": 1}


def test_the_bytes_of_all_files_are_counted(folder: Path) -> None:
    write(folder / "big.yaml", "A: " + "x" * 600_000)
    assert "at most 1000000 bytes" in refusal(write(folder / "top.yaml", "_BASE_: [big.yaml, big.yaml]\n"))


MERGES = "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a0: &a0 {x: 1}\n" + MERGES, f"at most {MAX_NODES} values"),
        ("a: &a\n  <<: *a\n", f"at most {MAX_NODES} values"),
        ("x: [" + "1," * 450_000 + "]", f"at most {MAX_NODES} values"),
        ("[" * 900_000, f"at most {MAX_DEPTH} levels"),
        ("{a: " * 200_000, f"at most {MAX_DEPTH} levels"),
        ("a" + ".a" * 100 + ": 1\na" + ".a" * 100 + ".b: 2", "levels deep"),
        ("x: 1" + ":1" * 400_000, "at most 100 characters"),
        ("x: 1" + ":1" * 400 + ".5", "at most 100 characters"),
        ("x: 0x" + "f" * 100_000, "at most 100 characters"),
        ("x: " + "9" * 5000, "at most 100 characters"),
        ("x: !!int ''", "not a readable"),
        ("x: !!float ''", "not a readable"),
        ("x: !!bool maybe", "not a readable"),
        ("x: !!timestamp then", "not a readable"),
        ("x: !!python/tuple 3", "not a readable"),
        ("MODEL: {1: 2}", r"1 \(line 1\) is read as int"),
        ("MODEL:\n  CONV_MASK_HEAD: {ON: true}", r"ON \(line 2\) is read as bool. Put it in quotes"),
        ("? [a, b]\n: 1", "key must be text; a sequence"),
        ("A: 1\nB: 2\nA: 3", r"'A' appears twice .*lines 1 and 3"),
        ("A: \0", "unacceptable character"),
        ("A: 1\n---\nB: 2", "single document"),
        ("A: 1".encode("utf-16"), "utf-8"),
        ("A: é".encode("latin-1"), "utf-8"),
    ],
    ids=lambda value: str(value[:16]),
)
def test_yaml_that_costs_or_means_too_much(folder: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_tree(write(folder / "config.yaml", content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"A": 1, "A": 2}', "'A' appears twice"),
        ('{"A": NaN}', "NaN is not a JSON number"),
        ('{"A": -Infinity}', "-Infinity is not a JSON number"),
        ('{"A": ' + "[" * 40 + "]" * 40 + "}", "levels deep"),
        ("[" * 500_000, "recursion"),
        ('{"A": ' + "1" * 5000 + "}", "digits"),
        ('{"A": [' + "1," * 200_000 + "1]}", f"at most {MAX_NODES} values"),
    ],
    ids=lambda value: value[:16],
)
def test_json_that_costs_or_means_too_much(folder: Path, content: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_tree(write(folder / "config.json", content))


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Path) -> None:
    assert read_tree(write(folder / "config.yaml", b"\xef\xbb\xbfA: 1\n")) == {"A": 1}


@pytest.mark.parametrize(
    "value",
    [10**400, 10**5000, -(10**5000), [10**5000], "1" + "0" * 900, 1e309, {"a": 10**5000}],
    ids=["400", "5000", "minus", "list", "text", "float", "section"],
)
@pytest.mark.parametrize("key", ["INPUT.MIN_SIZE_TEST", "MODEL.RPN.NMS_THRESH", "MODEL.PIXEL_MEAN", "VERSION"])
def test_numbers_without_end_are_refused_by_their_key(key: str, value: Any) -> None:
    base = read_tree(GOLDEN / "keys" / "pointrend_rcnn_R_50_FPN_3x_coco.config.yaml")
    with pytest.raises(ConfigError, match=rf"{key.rsplit('.', maxsplit=1)[-1]} (must|is a section)"):
        config_from_dict(base | {key: value})


def test_a_recipe_beside_a_tree_opens_the_tree_to_its_bases(tmp_path: Path) -> None:
    golden = GOLDEN / "pointrend_3class_portrait" / "config.yaml"
    (tmp_path / "configs").mkdir()
    write(tmp_path / "base.yaml", golden.read_bytes())
    write(tmp_path / "configs" / "model.yaml", "_BASE_: ../base.yaml\n")
    recipe = write(tmp_path / "recipe.yaml", "name: x\nmodel: configs/model.yaml\n")
    assert TrainingConfig.from_file(recipe).model.num_classes == 3
    inner = write(tmp_path / "configs" / "recipe.yaml", "name: x\nmodel: model.yaml\n")
    with pytest.raises(ConfigError, match="outside of"):
        TrainingConfig.from_file(inner)


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4),
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["MODEL", "INPUT", "VERSION", "MODEL.FPN", "_BASE_", "A.B", "MODEL.RPN"]), trees)
)
def test_any_values_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("any") / "config.yaml"
    write(path, yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
    json_path = write(path.with_suffix(".json"), json.dumps(tree))
    for each in (path, json_path):
        try:
            read = read_tree(each)
        except ConfigError:
            continue
        assert repr(nest(read)) == repr(read)
        with pytest.raises(ConfigError):  # whatever it says, it is no whole model
            config_from_dict(read)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*<>!?|,'\"#%@ \n\t\x00~1.", max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.mktemp("any") / "config.yaml", text)
    with contextlib.suppress(ConfigError):
        read_tree(path)
