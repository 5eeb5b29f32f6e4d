import numpy as np

from gradio_app import view
from gradio_app.examples import EXAMPLES, credits
from gradio_app.result import Result, ViewSelection
from gradio_app.servers import DOWN, LOADING, OVERLOADED, READY, RESTARTING, State
from pointrend.errors import ImageTooLarge
from pointrend.structures.prediction import Instance, Prediction

SCREEN = np.zeros((100, 200, 3), np.uint8)


def result(*instances):
    timing = {"inference": 1500.0, "decode": 20.0}
    prediction = Prediction(200, 100, tuple(instances), {"name": "m", "version": "1"}, timing)
    return Result("photo.jpg", b"", prediction, SCREEN, prediction, ("person 1", "dog 1", "person 2")[: len(instances)])


def found(category, score, area=200):
    return Instance(1, category, score, (1.0, 2.0, 30.4, 40.6), area, None)


THREE = result(found("person", 0.98), found("dog", 0.9), found("person", 0.5, area=5000))


def test_rows_say_label_score_and_size():
    assert view.table(THREE, ViewSelection())["data"] == [
        ["person 1", "98%", "30 x 41", "1.0%"],
        ["dog 1", "90%", "30 x 41", "1.0%"],
        ["person 2", "50%", "30 x 41", "25.0%"],
    ]


def test_rows_follow_the_choice_and_mark_what_is_singled_out():
    table = view.table(THREE, ViewSelection(threshold=0.4, categories=("person",), chosen=2))
    assert [row[0] for row in table["data"]] == ["person 1", "person 2"]
    plain, marked = table["metadata"]["styling"]
    assert "underline" in marked[0]
    assert "underline" not in plain[0]
    assert plain[0] != marked[0].replace("font-weight: 700; text-decoration: underline;", "")  # each its own colour


def test_without_a_result_the_table_is_empty():
    assert view.table(None, ViewSelection())["data"] == []


def test_the_summary_counts_by_category():
    text = view.summary(THREE, ViewSelection())
    assert text == "**Found 2 x person, 1 x dog** in 200 x 100 pixels (1.52 s on the server)."


def test_the_summary_tells_of_what_is_singled_out():
    assert view.summary(THREE, ViewSelection(chosen=2)).startswith(
        "**person 2**: 50% sure, 30 x 41 pixels, 25.0% of the"
    )


def test_an_empty_result_says_what_to_do():
    assert "Lower the threshold" in view.summary(THREE, ViewSelection(threshold=0.99))
    assert "found no objects" in view.summary(result(), ViewSelection())


def test_the_filter_starts_with_what_the_model_shows_by_default():
    assert view.category_choices(THREE, ["dog", "cow"]) == (["person", "dog"], ["dog"])
    assert view.category_choices(THREE, []) == (["person", "dog"], ["person", "dog"])


def test_a_complaint_is_the_errors_sentence():
    assert view.complaint(ImageTooLarge("Too large.")) == "⚠️ Too large."


def test_every_state_of_a_server_has_its_words():
    about = {"name": "m<1>", "version": "2", "categories": []}
    said = {kind: view.state(State(kind, about)) for kind in (READY, LOADING, OVERLOADED, RESTARTING, DOWN)}
    assert len(set(said.values())) == 5
    assert "Server ready · m&lt;1&gt; 2" in said[READY]
    for kind, text in said.items():
        assert f"light {kind}" in text


def test_what_a_model_finds_is_said_honestly():
    text = view.abilities("m", ("person", "cat", "horse"), ("person", "horse"), ())
    assert text == "**m** finds person and horse. Hidden by default: cat."
    assert view.abilities("m", ("cat", "dog"), (), ()) == "**m** finds cat and dog."
    assert view.abilities("m", ("cat", "dog"), (), ("dog",)) == "**m** finds cat and dog. Often missed: dog."
    assert view.abilities("m", ("cat",), ("cat",), ()) == "**m** finds cat."
    assert view.abilities("m", [f"c{n}" for n in range(80)], (), ()).endswith("c19 and 60 more.")
    assert view.about(State(LOADING)) == ""


def test_every_example_is_installed_and_credited():
    for example in EXAMPLES:
        assert example.path.stat().st_size > 10_000
        assert example.credit in credits()
