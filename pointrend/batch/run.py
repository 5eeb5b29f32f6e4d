"""``pointrend batch``: a plan's shards through a pool of workers on Ray Data."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any

from pointrend.batch.plan import BatchConfig, BatchError, Plan
from pointrend.batch.worker import Worker
from pointrend.engines import EXPORTED, resolve
from pointrend.engines.export import prepare
from pointrend.structures.options import Options
from pointrend.weights.folder import ModelFolder
from pointrend.weights.hub import store

# Ray asks for these when it is imported: no word to its makers, and no progress bars in a log.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# A worker that is gone is replaced, and its shard done again, however many machines come and go.
FOREVER = -1


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What a run did.

    Attributes:
        done: images segmented now.
        failed: images that could not be, now.
        kept: images of shards that were done before.
        seconds: how long it took.
    """

    done: int
    failed: int
    kept: int
    seconds: float


def batch_config(
    source: str, *, model: str, engine: str, options: dict[str, Any], form: str, shard_size: int
) -> BatchConfig:
    """Check what a batch is asked for, and find the model's version and the engine that ``auto`` stands for here.

    Raises:
        BatchError: an option is of no use here.
        ConfigError: the engine is unknown, not installed, or has no such network.
        InvalidOption: an option is out of range.
        CheckpointError: there is no such model.
    """
    parsed = Options.parse(options)
    if parsed.format != "json" or parsed.masks != "rle" or parsed.points:
        raise BatchError("A batch writes masks as RLE: `format`, `masks` and `points` cannot be chosen.")
    folder = ModelFolder.open(model)
    engine = resolve(engine, folder.network)
    return BatchConfig(
        input=source,
        model=store.frozen(model),
        version=folder.info.version,
        engine=engine,
        options=options,
        form=form,
        shard_size=shard_size,
    )


def run(plan: Plan, workers: int, threads: int, address: str | None = None) -> BatchOutcome:
    """Do what is left of a plan.

    Args:
        plan: the batch.
        workers: how many processes with a model each, over all machines.
        threads: CPU threads of each, which Ray sets aside for it.
        address: of a Ray cluster; None starts one on this machine, unless this process is connected to one already.

    Raises:
        BatchError: Ray is not installed.
    """
    try:
        import ray  # the extra batch
        from ray.data import ActorPoolStrategy, DataContext
    except ImportError as error:
        raise BatchError("A batch needs Ray: pip install 'pointrend-serve[batch]'") from error
    started = time.monotonic()
    left = plan.left()
    kept = len(plan.images) - sum(len(shard.images) for shard in left)
    if not left:
        return BatchOutcome(0, 0, kept, time.monotonic() - started)
    if plan.settings.engine in EXPORTED:
        # Once, here, and not by all workers of this machine at a time.
        prepare(ModelFolder.open(plan.settings.model), plan.settings.engine)
    if not ray.is_initialized():
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    items = [{"number": shard.number, "photos": json.dumps(shard.images)} for shard in left]
    shards = ray.data.from_items(items, override_num_blocks=len(items))
    counts = shards.map_batches(
        Worker,
        fn_constructor_args=(plan.settings, plan.output, threads),
        batch_size=1,
        num_cpus=threads,
        compute=ActorPoolStrategy(size=min(workers, len(items))),
        max_restarts=FOREVER,
        max_task_retries=FOREVER,
    )
    done = failed = 0
    for row in counts.iter_rows():
        done, failed = done + int(row["done"]), failed + int(row["failed"])
    return BatchOutcome(done, failed, kept, time.monotonic() - started)
