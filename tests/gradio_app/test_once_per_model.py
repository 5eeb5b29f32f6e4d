import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradio_app.once_per_model import OncePerModel
from gradio_app.servers import READY, Server, State, Watch
from pointrend.errors import RequestError


class Served(Watch):
    """A server that says what it serves, without being asked over a network."""

    def __init__(self, label: str, **about: str) -> None:
        super().__init__(Server(label, "http://127.0.0.1:9"))
        self.about = about

    def state(self) -> State:
        return State(READY, self.about)


def test_each_model_is_asked_once_and_has_its_own_answer():
    answers: OncePerModel[str] = OncePerModel(10)
    here, there = Served("Here", name="demo", version="1"), Served("There", name="large", version="1")
    asked = []

    def ask(model):
        asked.append(model)
        return " ".join(model)

    assert [answers.get("cat", watch, ask) for watch in (here, there, here, there)] == 2 * [
        "Here demo 1",
        "There large 1",
    ]
    here.about["version"] = "2"
    assert answers.get("cat", here, ask) == "Here demo 2"
    assert len(asked) == 3


def test_who_comes_meanwhile_waits_and_others_do_not():
    answers: OncePerModel[int] = OncePerModel(10)
    watch = Served("Here", name="demo", version="1")
    going_on, asked = threading.Event(), []

    def slowly(_model):
        asked.append(1)
        assert going_on.wait(60)
        return 7

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(answers.get, "cat", watch, slowly) for _ in range(3)]
        assert pool.submit(answers.get, "dog", watch, lambda _model: 8).result(60) == 8
        going_on.set()
        assert [each.result(60) for each in waiting] == [7, 7, 7]
    assert len(asked) == 1


def test_failures_and_unknown_models_are_not_remembered_nor_too_many():
    answers: OncePerModel[int] = OncePerModel(2)
    watch = Served("Here", name="demo", version="1")

    def fail(_model):
        raise RequestError("away")

    with pytest.raises(RequestError, match="away"):
        answers.get("a", watch, fail)
    numbers = itertools.count()
    for number, key in enumerate("abca"):  # the oldest was forgotten
        assert answers.get(key, watch, lambda _model: next(numbers)) == number
    nameless = Served("There")
    assert [answers.get("x", nameless, lambda _model: next(numbers)) for _ in range(2)] == [4, 5]
