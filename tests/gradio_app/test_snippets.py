"""The code for a result: whatever the names are they stay data, and each snippet's answer is what the page shows."""

import ast
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gradio_app.examples import EXAMPLES
from gradio_app.result import LOWEST_SCORE, Result, ViewSelection
from gradio_app.snippets import snippets
from pointrend.client import Client
from pointrend.structures.prediction import Prediction

HOSTILE = (
    "plain.jpg",
    "two words.jpg",
    'it\'s "quoted".jpg',
    "$(touch owned) `touch owned` ${HOME}.jpg",
    "\\n \\u0041 \\.jpg",
    "new\nline\r.jpg",
    "{a,b}[1-3]*.jpg",
    "-rf.jpg",
    "-",
    "{file!r} {0} %s %(x)s.jpg",
    "</script><script>alert(1)</script>.jpg",
    "'; DROP TABLE; -- \u2028\u2029\u0000.jpg".replace("\0", ""),
    "\u0444\u043e\u0442\u043e \u732b \U0001f408.jpg",
)
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
SERVER, PAGE = "http://127.0.0.1:8080", "http://127.0.0.1:7860"


def write(file_name, categories=None, threshold=0.5, **more):
    selection = ViewSelection(threshold=threshold, categories=categories)
    return snippets(SERVER, "pointrend", PAGE, file_name, selection, **more)


def run(command, folder):
    result = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout.decode()


def keywords(code, function):
    """The literal arguments of the one call of a function or method in Python code."""
    (call,) = (
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == function
    )
    named = {each.arg: each.value for each in call.keywords if not isinstance(each.value, ast.Call)}
    return [ast.literal_eval(each) for each in call.args], {
        name: ast.literal_eval(value) for name, value in named.items()
    }


@settings(max_examples=60, deadline=None)
@given(NAMES, st.lists(NAMES, min_size=1, max_size=3))
def test_names_are_data_in_python(file_name, categories):
    ids = {name: number for number, name in enumerate(categories)}
    code = write(file_name, tuple(categories), 0.35, ids=ids, label=categories[0])
    assert keywords(code["python"], "segment") == (
        [file_name],
        {"task": "instances", "score_threshold": 0.35, "categories": categories},
    )
    assert keywords(code["gradio_client"], "handle_file") == ([file_name], {})
    _, given_ = keywords(code["gradio_client"], "predict")
    listed = ",".join(str(ids[name]) if "," in name else name for name in categories)
    assert given_ == {
        "score_threshold": 0.35,
        "categories": listed,
        "model": categories[0],
        "api_name": "/segment",
    }


@settings(max_examples=40, deadline=None)
@given(NAMES, NAMES)
def test_names_are_data_in_the_shell(file_name, category):
    code = write(file_name, (category,), ids={category: 7})["curl"]
    said = run(["bash", "-c", f'curl() {{ printf "%s\\0" "$@"; }}\n{code}'], "/").split("\0")[:-1]
    assert said[said.index("-T") + 1].removeprefix("./") == file_name
    header = said[said.index("-H") + 1]
    assert header.isascii()
    assert header.isprintable()
    assert len(said) == 10


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_data_in_javascript(browser, name):
    """Run by Chromium, as far as to what would be sent."""
    script = write(name, (name,), ids={name: 7})["javascript"]
    assert "<" not in script.partition("\n")[2]
    stub = f"""async () => {{
        const sent = [];
        const fetch = async (url, options) => {{
            sent.push(url, ...options.body.entries().filter(([key]) => key !== "image"));
            return {{ ok: true, json: async () => ({{}}) }};
        }};
        const document = {{ querySelector: () => ({{ files: [new Blob()] }}) }};
        {{ {script} }}
        return sent;
    }}"""
    visitor = browser.new_page()
    url, *entries = visitor.evaluate(stub)
    found = re.search(r"readFile\((.*)\)\]\)", script)
    assert found is not None
    file = found[1]
    assert visitor.evaluate(f"() => {file}") == name
    visitor.close()
    assert url == f"{SERVER}/predictions/pointrend"
    assert dict(entries) == {
        "task": "instances",
        "score_threshold": "0.5",
        "categories": "7" if "," in name else name,
        "format": "json",
    }


def test_all_categories_are_asked_for_by_name():
    """A request without categories answers with those that are reliable alone."""
    assert all('"all"' in code or "'all'" in code or "=all&" in code for code in write("a.jpg").values())


def test_nothing_shown_has_no_code_and_grpc_none_of_http():
    assert write("a.jpg", ()) == {}
    code = snippets("grpc://127.0.0.1:7070", "pointrend", PAGE, "a.jpg", ViewSelection())
    assert set(code) == {"python", "gradio_client"}


def test_a_name_with_a_comma_needs_its_id():
    with pytest.raises(ValueError, match="comma"):
        write("a.jpg", ("bow, and arrow",))
    assert "categories=7&" in write("a.jpg", ("bow, and arrow",), ids={"bow, and arrow": 7})["curl"]


@pytest.mark.server
class TestAgainstTheServer:
    """Each as it stands, with a hostile name of the photo's."""

    NAME = 'it\'s "my" $(touch owned) `touch owned` {a,b}[1-3] \u732b.png'
    SELECTION = ViewSelection(threshold=0.35, categories=("cup", "dining table", "bowl"))

    @pytest.fixture
    def folder(self, tmp_path):
        photo = next(example for example in EXAMPLES if example.label == "Coffee")
        (tmp_path / self.NAME).write_bytes(photo.path.read_bytes())
        yield tmp_path
        assert not (tmp_path / "owned").exists()

    @pytest.fixture
    def code(self, served, page_url):
        return snippets(served.url, "pointrend", page_url, self.NAME, self.SELECTION)

    @pytest.fixture
    def shown(self, served, folder):
        """What the page shows, which has asked for everything once."""
        data = (folder / self.NAME).read_bytes()
        with Client(served.url) as client:
            everything = client.segment(data, score_threshold=LOWEST_SCORE, categories="all")
        result = Result.of(self.NAME, data, everything)
        shown = result.visible_prediction(self.SELECTION)
        assert 2 <= len(shown.instances) < len(everything.instances)
        return shown

    def check(self, answer, shown):
        found = Prediction.from_dict(answer)
        assert [each.category for each in found.instances] == [each.category for each in shown.instances]
        assert [each.score for each in found.instances] == pytest.approx(
            [each.score for each in shown.instances], abs=1e-3
        )
        for mask, expected in zip(found.masks(), shown.masks(), strict=True):
            assert np.count_nonzero(mask & expected) > 0.99 * np.count_nonzero(mask | expected)

    def test_curl(self, code, folder, shown):
        self.check(json.loads(run(["bash", "-ec", code["curl"]], folder)), shown)

    @pytest.mark.parametrize("kind", ["python", "gradio_client"])
    def test_python(self, code, folder, shown, kind):
        said = run([sys.executable, "-c", code[kind]], folder)
        self.check(ast.literal_eval(said.splitlines()[-1]), shown)

    def test_javascript(self, code, folder, shown, served, browser):
        """By Chromium, on a page of the server's origin, and by Node.js where it is installed."""
        visitor = browser.new_page()
        visitor.goto(f"{served.url}/ping")
        visitor.set_content("<input type=file>")
        visitor.locator("input").set_input_files(folder / self.NAME)
        with visitor.expect_console_message(timeout=60_000) as message:
            visitor.evaluate(f"async () => {{ {code['javascript']} }}")
        self.check(json.loads(message.value.text), shown)
        visitor.close()
        if node := shutil.which("node"):
            (folder / "snippet.mjs").write_text(code["javascript"], encoding="utf-8")
            self.check(json.loads(run([node, "snippet.mjs"], folder)), shown)

    def test_grpc(self, folder, shown, served, page_url):
        code = snippets(served.rpc_url, "pointrend", page_url, self.NAME, self.SELECTION)["python"]
        said = run([sys.executable, "-c", code], folder)
        self.check(ast.literal_eval(said.splitlines()[-1]), shown)

    def test_a_photo_whose_name_looks_like_an_option(self, folder, served, page_url):
        Image.open(folder / self.NAME).save(folder / "-rf.png")
        code = snippets(served.url, "pointrend", page_url, "-rf.png", ViewSelection())
        assert json.loads(run(["bash", "-ec", code["curl"]], folder))["instances"]
