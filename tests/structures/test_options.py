import math
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointrend.errors import InvalidOption, from_response
from pointrend.structures.boxes import BoxList
from pointrend.structures.option_combinations import FORMATS
from pointrend.structures.option_kinds import Boolean, Choice, Integer, NamesOrIds, Number
from pointrend.structures.options import BoxesInput, OptionKeywords, Options, names, schema, table


def test_text_and_json_types_mean_the_same():
    as_text = {"score_threshold": "0.7", "max_detections": "5", "categories": "person, 17", "refinement": "2"}
    as_json = {"score_threshold": 0.7, "max_detections": 5, "categories": ["person", 17], "refinement": 2}
    expected = Options(score_threshold=0.7, max_detections=5, categories=("person", "17"), refinement=2)
    assert Options.parse(as_text) == Options.parse(as_json) == expected
    assert Options.parse({}) == Options()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score_threshold", -0.01),
        ("score_threshold", "high"),
        ("score_threshold", math.nan),
        ("score_threshold", True),
        ("score_threshold", None),
        ("max_detections", 0),
        ("max_detections", 101),
        ("max_detections", 1.5),
        ("max_detections", "inf"),
        ("categories", ""),
        ("categories", {"a": 1}),
        ("categories", [None]),
        ("masks", "RLE"),
        ("masks", ["rle"]),
        ("task", "panoptic"),
        ("exact", "yes"),
        ("exact", 1.0),
        ("exact", None),
        ("mask_head", "points"),
        ("max_detections", "1" * 400),
        ("max_detections", 10**400),
        ("categories", [True]),
        ("refinement", 5),
        ("format", "gif"),
        ("alpha", "matte"),
    ],
)
def test_a_bad_value_names_its_field(name, value):
    with pytest.raises(InvalidOption, match=name) as raised:
        Options.parse({name: value})
    assert raised.value.field == name
    assert raised.value.status == 422


def test_python_says_them_as_freely_and_as_strictly():
    loose: dict[str, Any] = {"categories": "person, 17"}
    assert Options(**loose).categories == ("person", "17")
    with pytest.raises(InvalidOption, match="score_threshold"):
        Options(score_threshold=5)


@pytest.mark.parametrize(
    ("value", "meant"), [(True, True), ("True", True), ("1", True), (False, False), (" false ", False), ("0", False)]
)
def test_true_and_false(value, meant):
    assert Options.parse({"exact": value}).exact is meant


@pytest.mark.parametrize("task", FORMATS)
@pytest.mark.parametrize("kind", ["json", "png", "cutouts", "label_map", "uncertainty"])
def test_what_a_task_cannot_be_answered_with_is_refused(task, kind):
    if kind in FORMATS[task]:
        assert Options.parse({"task": task, "format": kind}).format == kind
    else:
        with pytest.raises(InvalidOption, match=f"task={task} cannot be answered as format={kind}") as raised:
            Options.parse({"task": task, "format": kind})
        assert raised.value.code == "unsupported_combination"


@pytest.mark.parametrize("others", [{"task": "detection"}, {"task": "semantic"}, {"format": "png"}])
def test_points_are_told_of_instances_in_json_only(others):
    assert Options.parse({"points": "true"}).points
    with pytest.raises(InvalidOption, match=r"points=true is for task=instances and format=json, not task") as raised:
        Options.parse({"points": True, **others})
    assert (raised.value.field, raised.value.code) == ("points", "unsupported_combination")


@pytest.mark.parametrize("task", ["detection", "semantic"])
def test_probabilities_are_those_of_instances(task):
    assert Options.parse({"masks": "probability"}).masks == "probability"
    with pytest.raises(InvalidOption, match=f"masks=probability is for task=instances, not task={task}") as raised:
        Options.parse({"masks": "probability", "task": task})
    assert (raised.value.field, raised.value.code) == ("masks", "unsupported_combination")


@pytest.mark.parametrize("kind", ["json", "png", "label_map", "uncertainty"])
def test_hard_edges_are_those_of_cutouts(kind):
    assert Options.parse({"alpha": "hard", "format": "cutouts"}).alpha == "hard"
    assert Options.parse({"alpha": "soft", "format": kind}) == Options.parse({"format": kind})
    with pytest.raises(InvalidOption, match=f"alpha=hard is for format=cutouts, not format={kind}") as raised:
        Options.parse({"alpha": "hard", "format": kind})
    assert (raised.value.field, raised.value.code) == ("alpha", "unsupported_combination")


def test_the_schema_is_that_of_the_readers():
    described = schema()
    assert tuple(described) == names()
    for entry in table():
        if "default" in described[entry.name]:
            assert entry.kind.read(entry.name, described[entry.name]["default"]) == entry.default
        for value in described[entry.name].get("enum", []):
            assert entry.kind.read(entry.name, value) == value
        for bound in ("minimum", "maximum"):
            if bound in described[entry.name]:
                assert entry.kind.read(entry.name, described[entry.name][bound]) == described[entry.name][bound]


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(InvalidOption, match="Did you mean 'score_threshold'") as raised:
        Options.parse({"scorethreshold": 1})
    assert raised.value.code == "unknown_option"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(names()) | st.text(max_size=8), JSON, max_size=4))
def test_whatever_comes_is_read_or_refused(raw):
    refusal = None
    try:
        options = Options.parse(raw)
    except InvalidOption as error:
        refusal = error
    if refusal is not None:
        assert refusal.field in raw or ("boxes" in raw and refusal.field.startswith("boxes["))
        again = from_response(refusal.status, refusal.to_dict())
        assert (type(again), again.message, again.code) == (InvalidOption, refusal.message, refusal.code)
    else:
        assert 0 <= options.score_threshold <= 1
        assert 1 <= options.max_detections <= 100
        assert 0 <= options.refinement <= 4


def test_keywords_of_clients_are_the_options_without_the_format():
    kinds = {entry.name: entry.kind for entry in table()}
    hints = get_type_hints(OptionKeywords)
    assert set(hints) == set(kinds) - {"format"}
    plain = {Number: float, Integer: int, Boolean: bool}
    for name, hint in hints.items():
        kind = kinds[name]
        if isinstance(kind, Choice):
            assert get_args(hint) == kind.allowed
        elif type(kind) in plain:
            assert hint is plain[type(kind)]
        elif isinstance(kind, BoxList):
            assert hint == BoxesInput
        else:
            assert isinstance(kind, NamesOrIds)
