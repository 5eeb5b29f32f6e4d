import pytest

from gradio_app.callers import Caller
from gradio_app.kept_results import KeptResults
from pointrend.errors import RequestError
from tests.gradio_app.test_result import make

ANNA = Caller("anna", "10.0.0.1", "s1")
BOB = Caller("bob", "10.0.0.2", "s2")


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def test_a_result_is_its_viewers_only():
    results = KeptResults(600)
    result = make()
    identity = results.keep(result, ANNA)
    assert results.get(identity, ANNA) is result
    assert results.get(identity, Caller("anna", "10.9.9.9", "s9")) is result  # the browser moved, or was reloaded
    said = set()
    for caller, asked in (
        (BOB, identity),
        (Caller(None, "10.0.0.1", "s1"), identity),
        (ANNA, "x"),
        (ANNA, None),
        (ANNA, {}),
    ):
        with pytest.raises(RequestError) as caught:
            results.get(asked, caller)
        said.add((caught.value.message, caught.value.status))
    assert len(said) == 1  # nobody learns whether it is there


def test_more_of_a_result_is_kept_by_its_viewer_only():
    results = KeptResults(600)
    first, second = make(), make(scale=2)
    identity = results.keep(first, ANNA)
    with pytest.raises(RequestError, match="deleted"):
        results.update(identity, second, BOB)
    assert results.get(identity, ANNA) is first
    results.update(identity, second, ANNA)
    assert results.get(identity, ANNA) is second
    example = results.publish("coffee", first)
    results.update(example, second, BOB)
    assert results.get(example, ANNA) is second


def test_a_session_without_cookies_has_its_own():
    results = KeptResults(600)
    identity = results.keep(make(), Caller(None, "10.0.0.1", "s1"))
    assert results.get(identity, Caller(None, "10.0.0.1", "s1"))
    for other in (Caller(None, "10.0.0.1", "s2"), Caller(None, "10.0.0.1", None)):
        with pytest.raises(RequestError, match="deleted"):
            results.get(identity, other)


def test_results_are_deleted_in_time():
    clock = Clock()
    results = KeptResults(600, clock=clock)
    identity = results.keep(make(), ANNA)
    clock.seconds = 600
    assert results.get(identity, ANNA)
    clock.seconds = 601
    with pytest.raises(RequestError, match="within 10 minutes"):
        results.get(identity, ANNA)


def test_whoever_has_most_makes_room():
    one = make()
    results = KeptResults(600, limit_bytes=3 * one.nbytes + 1)
    bobs = results.keep(one, BOB)
    annas = [results.keep(one, ANNA) for _ in range(5)]
    assert results.get(bobs, BOB)
    assert results.get(annas[-1], ANNA)
    with pytest.raises(RequestError):
        results.get(annas[0], ANNA)


def test_examples_are_everybodys_and_stay():
    clock = Clock()
    results = KeptResults(600, clock=clock)
    identity = results.publish("coffee", make())
    clock.seconds = 10_000
    assert results.get(identity, ANNA) is results.get(identity, BOB)
    newer = make()
    assert results.publish("coffee", newer) == identity
    assert results.get(identity, BOB) is newer
