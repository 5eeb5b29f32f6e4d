"""How many workers serve a model, and with how many threads each, from the cores and the memory that there are.

A worker is a process with the whole model in it. All cores for one prediction answer a single viewer soonest; a core
each for several predictions answers the most of them a second. ``docs/serving/operations.md`` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from pointrend.errors import ConfigError
from pointrend.system.machine import usable_cores, usable_memory

CORES_A_WORKER = 4
"""Of each worker, where nobody says how many workers: the next thread would gain less than a worker does."""
GIB = 2**30
BESIDE = GIB
"""Bytes for all but the workers: Java, the gateway and the page."""
AT_WORK = 2 * GIB
"""Bytes for each worker, where nobody says how many: large images, and the requests that wait for it."""
AT_REST = GIB // 2
"""Bytes without which no further worker is allowed: what one takes with small images."""
HEAP = GIB // 2
"""Bytes of Java's heap for each worker, and as many for the rest of Java: ten of the largest requests each."""
HELD = 10
"""Requests that Java holds for each worker, waiting or at work, and as many besides."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers of each model of a server.

    Attributes:
        count: how many, 1 or more.
        threads: of each; None for one for each core that it may use.

    Example:
        >>> Workers(2, 1).waiting, Workers().waiting
        (28, 19)
    """

    count: int = 1
    threads: int | None = None

    @property
    def held(self) -> int:
        """Requests that TorchServe holds, those at work included; it refuses the next one."""
        return HELD * (self.count + 1)

    @property
    def waiting(self) -> int:
        """Requests that wait while all workers are busy: TorchServe's ``job_queue_size``."""
        return self.held - self.count

    @property
    def heap_mib(self) -> int:
        """Java's largest heap, which has room for as many of the largest requests as are held."""
        return HEAP * (self.count + 1) // 2**20

    def __str__(self) -> str:
        workers = "1 worker" if self.count == 1 else f"{self.count} workers"
        if self.threads is None:
            return workers
        return f"{workers} of {self.threads} thread{'s' * (self.threads > 1)}"


SINGLE = Workers()
"""What an archive asks for, and ``config.properties`` is written for."""


def choose(
    wanted: int | None = None, *, models: int = 1, cores: int | None = None, memory: int | None = None
) -> Workers:
    """Choose how many workers each model gets, and divide the cores among them.

    Args:
        wanted: how many, where somebody says it; None for one for every :data:`CORES_A_WORKER` cores, as far as memory
            allows.
        models: how many are served.
        cores: that may be used; None for what this process may use.
        memory: bytes likewise.

    Raises:
        ConfigError: as many are not possible here; says how many are.

    Example:
        >>> choose(cores=16, memory=64 * GIB), choose(cores=16, memory=8 * GIB), choose(4, cores=4, memory=8 * GIB)
        (Workers(count=4, threads=4), Workers(count=3, threads=5), Workers(count=4, threads=1))
    """
    cores = usable_cores() if cores is None else cores
    memory = usable_memory() if memory is None else memory
    if wanted is None:
        count = max(1, min(cores // CORES_A_WORKER, (memory - BESIDE) // AT_WORK // models))
        return Workers(count, cores // count)
    fit = max(1, (memory - BESIDE) // AT_REST // models)
    if not 1 <= wanted <= min(cores, fit):
        raise ConfigError(_refusal(wanted, cores, memory, fit, models))
    return Workers(wanted, cores // wanted)


def _refusal(wanted: int, cores: int, memory: int, fit: int, models: int) -> str:
    most = min(cores, fit)
    if wanted < 1:
        reason = "A model needs a worker."
    elif cores <= fit:
        reason = f"There {'is 1 core' if cores == 1 else f'are {cores} cores'}, and each worker needs one."
    else:
        each = "each worker" if models == 1 else f"each worker of each of the {models} models"
        reason = (
            f"There are {memory / GIB:.1f} GiB of memory; {each} needs {AT_REST / GIB:g} GiB beside the "
            f"{BESIDE / GIB:g} GiB of the rest."
        )
    allowed = "1" if most == 1 else f"1 to {most}"
    return f"workers is {wanted}; it may be {allowed} here. {reason} Leave it out to have it chosen."
