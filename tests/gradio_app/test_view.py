from gradio_app import view
from gradio_app.examples import EXAMPLES, credits
from gradio_app.servers import DOWN, LOADING, OVERLOADED, READY, RESTARTING, State
from pointrend.errors import ImageTooLarge


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
