import json
import subprocess
import sys
import threading
from multiprocessing import AuthenticationError, connection
from typing import Any

import pytest

from pointrend.errors import ConfigError
from pointrend.system.channel import ADDRESS, MOST_BYTES, SECRET, Channel, ChannelError, ask


def test_a_child_asks_its_parent():
    program = "import os; from pointrend.system.channel import ask; print(ask(os.environ, {'name': 'Ada'})['said'])"
    with Channel(lambda question: {"said": f"Hello {question['name']}"}) as channel:
        done = subprocess.run(
            [sys.executable, "-c", program], env=channel.environment, capture_output=True, text=True, check=True
        )
    assert done.stdout == "Hello Ada\n"


def test_a_refusal_keeps_its_words_and_a_fault_does_not():
    def answer(question):
        if question["wanted"] == "fault":
            raise RuntimeError("/a/secret/path")
        raise ConfigError("There is no model 'x'.")

    with Channel(answer) as channel:
        with pytest.raises(ChannelError, match=r"^There is no model 'x'\.$"):
            ask(channel.environment, {"wanted": "refusal"})
        with pytest.raises(ChannelError) as failed:
            ask(channel.environment, {"wanted": "fault"})
    assert "secret" not in str(failed.value)


def test_without_the_secret_nothing_is_answered():
    asked: list[object] = []

    def answer(question: object) -> dict[str, Any]:
        asked.append(question)
        return {}

    with Channel(answer) as channel:
        with pytest.raises(ChannelError):
            ask(channel.environment | {SECRET: "guess"}, {})
        with pytest.raises(AuthenticationError):
            connection.Client(channel.environment[ADDRESS], authkey=b"another")
        assert asked == []
        assert ask(channel.environment, {"still": "there"}) == {}


@pytest.mark.parametrize("sent", [b"[]", b"not JSON", json.dumps({"x": "y" * MOST_BYTES}).encode(), b"\x80\x04K\x01."])
def test_what_is_no_small_json_object_is_not_answered(sent):
    asked: list[object] = []

    def answer(question: object) -> dict[str, Any]:
        asked.append(question)
        return {}

    with Channel(answer) as channel:
        with connection.Client(channel.environment[ADDRESS], authkey=channel.environment[SECRET].encode()) as peer:
            peer.send_bytes(sent)
            try:
                assert "error" in json.loads(peer.recv_bytes())
            except (EOFError, OSError):
                assert len(sent) > MOST_BYTES
        assert ask(channel.environment, {}) == {}
    assert asked == [{}]


def test_a_slow_answer_holds_nobody_else_up():
    release = threading.Event()
    with Channel(lambda question: {"waited": release.wait(30)} if question else {}) as channel:
        with pytest.raises(ChannelError, match="no answer in 0 s"):
            ask(channel.environment, {"slow": True}, seconds=0.2)
        assert ask(channel.environment, {}) == {}
        release.set()


def test_nobody_to_ask():
    with pytest.raises(ChannelError, match="started by itself"):
        ask({}, {})
    with Channel(lambda question: question) as channel:
        pass
    with pytest.raises(ChannelError, match="could not be asked"):
        ask(channel.environment, {})
