"""An endless stream of training batches, prepared in the background."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pointrend.datasets.annotations import Annotations
from pointrend.errors import DataError
from pointrend.training.augment import Augmentation
from pointrend.training.config import TrainingConfig
from pointrend.training.copy_paste import paste
from pointrend.training.sample import Sample
from pointrend.training.sample_order import SampleOrder, repeat_factors, source_factors

SQUEEZE = (0.5, 1.0)  # of images that the network will see as squares
AHEAD = 2  # batches that each worker has ready


class Batches:
    """Batches of crops, endless; iterating begins at ``position`` each time.

    Sample number n depends on the seed and n alone, not on how many processes prepare it or where the stream began.

    Args:
        samples: makes sample number n.
        batch: samples a batch.
        position: number of the first sample.
        workers: processes that prepare batches; 0 prepares them when they are asked for.
    """

    def __init__(self, samples: Samples, batch: int, *, position: int = 0, workers: int = 0) -> None:
        self.samples = samples
        self.batch = batch
        self.position = position
        self.workers = workers

    def __iter__(self) -> Iterator[list[Sample]]:
        """Yield batches; the processes end with the iterator.

        Raises:
            DataError: an image cannot be read.
        """
        loader: DataLoader[Sample | DataError] = DataLoader(
            self.samples,
            batch_sampler=_Numbers(self.position, self.batch),
            num_workers=self.workers,
            collate_fn=list,
            worker_init_fn=_begin_worker,
            prefetch_factor=AHEAD if self.workers else None,
        )
        for items in loader:
            ready = []
            for item in items:
                if isinstance(item, DataError):
                    raise item
                ready.append(item)
            yield ready


class Samples(Dataset["Sample | DataError"]):
    """Makes crops by number.

    Args:
        annotations: the images.
        augmentation: makes a crop of an image.
        sides: of the crops, in place of the augmentation's: one is drawn for each batch.
        batch: samples a batch, which all have the same side.
        copy_paste: probability that another image's objects are pasted.
        repeat_threshold: see :func:`~pointrend.training.sample_order.repeat_factors`.
        sources: see :func:`~pointrend.training.sample_order.source_factors`.
        seed: of everything random.
    """

    def __init__(
        self,
        annotations: Annotations,
        augmentation: Augmentation,
        *,
        sides: Sequence[int] = (),
        batch: int = 1,
        copy_paste: float = 0.0,
        repeat_threshold: float = 0.0,
        sources: Mapping[str, float] = MappingProxyType({}),
        seed: int = 0,
    ) -> None:
        images = annotations.images
        factors = repeat_factors(images, repeat_threshold) * source_factors(images, sources)
        self._annotations = annotations
        self._augmentations = [replace(augmentation, side=side) for side in sides] or [augmentation]
        self._batch = batch
        self._copy_paste = copy_paste
        self._seed = seed
        self._order = SampleOrder(factors, seed)
        self._sources = SampleOrder(factors, seed + 1)

    def __getitem__(self, number: int) -> Sample | DataError:
        """Sample of a number from 0 on; an error is returned, so that it leaves a worker as it is."""
        # The third number keeps these apart from the order's own.
        rng = np.random.default_rng((self._seed, number, 1))
        augmentation = self._augmentations[0]
        if len(self._augmentations) > 1:
            drawn = np.random.default_rng((self._seed, number // self._batch, 2)).integers(len(self._augmentations))
            augmentation = self._augmentations[drawn]
        try:
            sample = augmentation(self._annotations[self._order[number]], rng)
            if rng.random() < self._copy_paste:
                source = augmentation(self._annotations[self._sources[number]], rng)
                sample = paste(sample, source, rng)
        except DataError as error:
            return error
        return sample


def batches(
    annotations: Annotations, settings: TrainingConfig, *, seed: int = 0, position: int = 0, workers: int = 0
) -> Batches:
    """The batches that a recipe asks for.

    Args:
        annotations: the images.
        settings: the recipe.
        seed: of everything random.
        position: number of the first sample: how many have been used already.
        workers: processes that prepare batches; 0 prepares them when they are asked for.
    """
    mean = [round(value) for value in settings.model.pixel_mean]
    red, green, blue = reversed(mean) if settings.model.input_format == "BGR" else mean
    samples = Samples(
        annotations,
        Augmentation(
            settings.crop[0],
            settings.jitter,
            fill=(red, green, blue),
            squeeze=(0.0, 0.0) if settings.model.keep_aspect else SQUEEZE,
        ),
        sides=settings.crop,
        batch=settings.batch,
        copy_paste=settings.copy_paste,
        repeat_threshold=settings.repeat_threshold,
        sources=settings.sources,
        seed=seed,
    )
    return Batches(samples, settings.batch, position=position, workers=workers)


class _Numbers:
    """Numbers of the samples of each batch, without an end."""

    def __init__(self, position: int, batch: int) -> None:
        self._position = position
        self._batch = batch

    def __iter__(self) -> Iterator[list[int]]:
        for start in itertools.count(self._position, self._batch):
            yield list(range(start, start + self._batch))


def _begin_worker(_: int) -> None:
    torch.set_num_threads(1)
