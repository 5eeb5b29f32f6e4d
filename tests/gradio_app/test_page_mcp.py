"""The page's functions as tools of the Model Context Protocol, asked by the protocol's own client."""

from __future__ import annotations

import ast
import asyncio
import base64
from typing import Any

import pytest

from gradio_app.examples import EXAMPLES
from pointrend.serving.page_process import Page
from pointrend.serving.torchserve import TorchServe
from tests.ports import free_ports

pytest.importorskip("mcp", reason="needs the extra mcp")

pytestmark = pytest.mark.server


async def use(url: str, photo: str) -> tuple[dict[str, Any], Any, Any]:
    """The tools by name, one's answer for a photo, and its answer for what is none."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(f"{url}/gradio_api/mcp/") as (incoming, outgoing, _),
        ClientSession(incoming, outgoing) as session,
    ):
        await session.initialize()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        name = next(each for each in tools if each.endswith("segment"))
        good = await session.call_tool(name, {"photo": photo, "score_threshold": 0.7})
        bad = await session.call_tool(name, {"photo": "data:image/png;base64,bm8gcGhvdG8="})
    return tools, good, bad


def test_a_language_model_can_segment_a_photo(served: TorchServe) -> None:
    photo = "data:image/jpeg;base64," + base64.b64encode(EXAMPLES[0].path.read_bytes()).decode()
    with Page(served.url, free_ports(1)[0], mcp=True) as page:
        page.wait_ready()
        tools, good, bad = asyncio.run(use(page.url, photo))
    assert {name.rpartition("_")[2] for name in tools} == {"segment", "overlay", "export", "refine", "models"}
    assert all("photo" in tool.inputSchema["properties"] for name, tool in tools.items() if "models" not in name)
    assert not good.isError
    answer = ast.literal_eval(good.content[0].text)  # Gradio sends what Python prints
    assert answer["instances"][0]["category"] == "person"
    assert bad.isError
    assert "not an image that can be read" in bad.content[0].text
