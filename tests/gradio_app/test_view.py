from gradio_app import view
from gradio_app.examples import EXAMPLES, credits
from pointrend.errors import ImageTooLarge
from pointrend.prediction import Instance, Prediction


def prediction(*instances):
    return Prediction(200, 100, tuple(instances), {"name": "m", "version": "1"}, {"inference": 1500.0, "decode": 20.0})


def found(category, score, area=200):
    return Instance(1, category, score, (1.0, 2.0, 30.4, 40.6), area, None)


def test_rows_number_the_objects_of_a_category():
    rows = view.rows(prediction(found("person", 0.98), found("dog", 0.9), found("person", 0.5, area=5000)))
    assert rows == [
        ["person 1", "98%", "30 x 41", "1.0%"],
        ["dog 1", "90%", "30 x 41", "1.0%"],
        ["person 2", "50%", "30 x 41", "25.0%"],
    ]


def test_the_summary_counts_by_category():
    text = view.summary(prediction(found("dog", 0.9), found("person", 0.8), found("person", 0.7)))
    assert text == "**Found 2 x person, 1 x dog** in 200 x 100 pixels (1.52 s on the server)."


def test_an_empty_result_says_what_to_do():
    assert "Lower it" in view.summary(prediction())


def test_a_complaint_is_the_errors_sentence():
    assert view.complaint(ImageTooLarge("Too large.")) == "⚠️ Too large."


def test_what_a_model_finds_is_said_honestly():
    text = view.reliability("m", ("person", "horse"), ("person", "cat", "horse"))
    assert text == "**m** finds person and horse reliably; it also knows cat, but misses or confuses them often."
    assert view.reliability("m", (), ("cat",)) == "**m**; it also knows cat, but misses or confuses them often."


def test_every_example_is_installed_and_credited():
    for example in EXAMPLES:
        assert example.path.stat().st_size > 10_000
        assert example.credit in credits()
