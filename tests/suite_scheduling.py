"""Which of two test processes runs what, where ``make test`` runs everything: a folder of tests at a time.

A folder's tests stay in one process, so that the servers and images that they share are started and built once.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

PROCESSES = 2  # more would need a core and two gigabytes each
# The longest first, so that both processes end at about the same time; beside the first, which mostly waits, those that
# compute. The others follow as they are collected. The end of a run says how long each took.
LONGEST_FIRST = (
    "container",
    "engines",
    "gradio_app",
    "benchmarks",
    "training",
    "inference",
    "serving",
    "client",
    "server",
    "gateway",
    "batch",
    "predict",
    "weights",
)
# Run with another suite: both start Ray, and a run that names no cluster joins whichever it finds on the machine.
RUN_WITH = {"docs": "batch"}


def suite_of(nodeid: str) -> str:
    """The folder below ``tests/`` that a test is in; "others" for those directly there.

    >>> suite_of("tests/client/test_client_rest.py::test_it[a/b]")
    'client'
    """
    _, _, below = nodeid.partition("::")[0].partition("tests/")
    return below.split("/")[0] if "/" in below else "others"


class SuiteScheduling(LoadScopeScheduling):
    """Hands out suites instead of classes or files, in the order of ``LONGEST_FIRST``."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._order = {suite: place for place, suite in enumerate(LONGEST_FIRST)}

    def _split_scope(self, nodeid: str) -> str:
        suite = suite_of(nodeid)
        return RUN_WITH.get(suite, suite)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(
            min(self.workqueue, key=lambda suite: self._order.get(suite, len(LONGEST_FIRST))), last=False
        )
        super()._assign_work_unit(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """As the base class, but the test during which a process died is not given to the next one, to kill it too."""
        for tests in self.assigned_work[node].values():
            for nodeid, is_done in tests.items():
                if not is_done:
                    tests[nodeid] = True
                    super().remove_node(node)
                    return nodeid
        return super().remove_node(node)
