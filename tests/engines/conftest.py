"""Which tests there are: those of an engine that is not installed are not collected. And one cache for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

# detectron2 is in no package index, so it is on no machine where it was not put on purpose; collected and skipped, its
# tests would fail every run with --fail-on-skip.
collect_ignore = [] if find_spec("detectron2") else ["test_detectron2_installed.py"]


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: what one of them quantises, the others find there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POINTREND_HOME", str(tmp_path_factory.mktemp("home")))
        yield
