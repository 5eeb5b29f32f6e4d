"""``pointrend batch``: a plan's shards through a pool of workers on Ray Data."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import Any

from pointrend.batch.plan import REPORT, BatchConfig, BatchError, Plan, Shard, put
from pointrend.batch.worker import Worker
from pointrend.engines import EXPORTED, resolve
from pointrend.engines.export import prepare
from pointrend.predict.summary import Failed, Summary
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
        kept: images that an earlier run segmented.
        failures: images of parts that are there, of this run and earlier ones, that could not be segmented, and images
            of parts that could not be written.
        left: how many parts could not be written; the same batch started again does them.
        tried: images of the parts that this run did.
        seconds: how long it took.
        plan: the batch.
        report: the file with all failures and all that was not read; None where it could not be written.
    """

    done: int
    kept: int
    failures: tuple[Failed, ...]
    left: int
    tried: int
    seconds: float
    plan: Plan
    report: str | None = None

    def summary(self) -> Summary:
        """The outcome as it is printed."""
        rate = self.tried / self.seconds if self.tried else None
        not_read = self.plan.not_read
        return Summary(self.done, self.kept, self.failures, not_read, self.plan.output, self.report, rate)


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
    if not left:
        return _outcome(plan, [], {}, time.monotonic() - started)
    if plan.settings.engine in EXPORTED:
        # Once, here, and not by all workers of this machine at a time.
        prepare(ModelFolder.open(plan.settings.model), plan.settings.engine)
    if not ray.is_initialized():
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    items = [{"number": shard.number, "images": json.dumps(shard.images)} for shard in left]
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
    errors = {int(row["number"]): str(row["error"]) for row in counts.iter_rows()}
    return _outcome(plan, left, errors, time.monotonic() - started)


def _outcome(plan: Plan, tried: list[Shard], errors: dict[int, str], seconds: float) -> BatchOutcome:
    """Count what is there in the end, by what is in the output folder, and write the report.

    Args:
        plan: the batch.
        tried: the shards that this run did.
        errors: why a shard's part could not be written, by its number; empty where it was.
        seconds: how long the run took.
    """
    now = {shard.number for shard in tried}
    unwritten = {number for number, error in errors.items() if error}
    failures: list[Failed] = []
    counts = {True: 0, False: 0}  # images segmented, by whether now
    there = plan.failure_files()
    for shard in plan.shards():
        if shard.number in unwritten:
            failures += [Failed(image, errors[shard.number]) for image in shard.images]
            continue
        failed = plan.failures(shard) if shard.failures in there else []
        failures += [Failed(tree["file_name"], tree["message"]) for tree in failed]
        counts[shard.number in now] += len(shard.images) - len(failed)
    images = sum(len(shard.images) for shard in tried)
    outcome = BatchOutcome(counts[True], counts[False], tuple(failures), len(unwritten), images, seconds, plan)
    try:
        put(plan.output, REPORT, outcome.summary().report())
    except OSError:
        return outcome  # all names are printed then
    return replace(outcome, report=f"{plan.output.rstrip('/')}/{REPORT}")
