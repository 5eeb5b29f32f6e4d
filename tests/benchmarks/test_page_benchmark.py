"""The page's budgets that do not depend on how fast the machine is."""

import shutil

import pytest

from benchmarks.page import BUDGET, measure
from pointrend.serving.page_process import Page
from tests.ports import free_ports

pytestmark = [pytest.mark.server, pytest.mark.browser]


def test_a_visit_stays_within_its_requests_and_bytes(served):
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium was found; on Debian and Ubuntu: apt-get install chromium")
    with Page(served.url, free_ports(1)[0]) as page:
        page.wait_ready()
        seen = measure(page.url, visits=1)
    assert 0 < seen.requests <= BUDGET.requests
    assert 0 < seen.kilobytes <= BUDGET.kilobytes
    assert seen.layout_shift <= BUDGET.layout_shift
    assert 0 < seen.first_picture_seconds <= seen.masks_seconds
