"""Accumulating over weighted photos: the same as pycocotools where it can be asked, and sound intervals."""

from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pointrend.evaluation.average_precision import AREAS, RECALLS
from pointrend.evaluation.bootstrap import Resampled, difference, reliability, resamples
from pointrend.evaluation.evaluator import Evaluator
from pointrend.evaluation.figures import figures
from tests.evaluation.scenes import DOG, PERSON, found, photo, predictions, random_scene, thing, truth

SQUARE = (20, 20, 40, 40)


def by_pycocotools(scene, answers):
    """COCOeval as everyone runs it: precision (T, R, K, A) and recall (T, K, A) at 100 detections."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": shot.id, "width": shot.width, "height": shot.height} for shot in scene.images],
        "categories": [{"id": category.id} for category in scene.categories],
        "annotations": [
            {
                "id": index,
                "image_id": item.image_id,
                "category_id": item.category_id,
                "bbox": item.bbox,
                "area": item.area,
                "segmentation": item.segmentation,
                "iscrowd": int(item.crowd),
            }
            for index, item in enumerate(scene.objects, 1)
        ],
    }
    coco.createIndex()
    results = [
        {"image_id": number, "category_id": one.category_id, "score": one.score, "segmentation": one.segmentation}
        for number, answer in answers.items()
        for one in answer.instances
    ]
    evaluator = COCOeval(coco, coco.loadRes(results), "segm")
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval["precision"][..., -1], evaluator.eval["recall"][..., -1]


@pytest.mark.parametrize("seed", range(8))
def test_with_weights_of_one_it_is_pycocotools_own_figure(seed):
    scene, answers = random_scene(seed)
    precision, recall = by_pycocotools(scene, answers)
    matches = Evaluator(scene).masks(answers).mask
    once = np.ones((1, len(scene.images)), dtype=np.int64)

    for index, area in enumerate(AREAS):
        expected = precision[..., index].mean(axis=1).T  # (K, T); -1 where there is no object
        ours = matches.average_precision(once, area)[0]
        np.testing.assert_allclose(np.nan_to_num(ours, nan=-1), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.nan_to_num(matches.recall(once)[0], nan=-1), recall[..., 0].T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_weights_repeat_and_leave_out_photos(seed):
    scene, answers = random_scene(seed, photos=6)
    # Where detections of several photos have equal scores, the order of copies would matter.
    generator = np.random.default_rng(seed)
    answers = {
        number: replace(
            answer,
            instances=tuple(replace(one, score=float(generator.random())) for one in answer.instances),
        )
        for number, answer in answers.items()
    }
    weights = generator.integers(0, 4, len(scene.images))
    shots, objects, copied = [], [], {}
    for shot, weight in zip(scene.images, weights, strict=True):
        for copy in range(weight):
            number = 100 * shot.id + copy
            shots.append(replace(shot, id=number))
            objects += [replace(item, image_id=number) for item in scene.objects if item.image_id == shot.id]
            copied[number] = answers[shot.id]
    repeated = truth(shots, objects)

    weighted = figures(Evaluator(scene).masks(answers).mask, scene, weights)
    real = figures(Evaluator(repeated).masks(copied).mask, repeated, np.ones(len(shots), dtype=np.int64))

    assert weighted == real


def test_resamples_draw_as_many_photos_as_there_are():
    weights = resamples(7, 500)

    assert weights.shape == (501, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    assert weights[1:].mean() == 1
    assert (weights == resamples(7, 500)).all()
    assert (weights[1:] == 0).mean() == pytest.approx((6 / 7) ** 7, abs=0.03)


def test_a_difference_is_paired():
    scene, answers = random_scene(3)
    worse = {number: replace(answer, instances=answer.instances[:1]) for number, answer in answers.items()}
    weights = resamples(len(scene.images), 200)
    judge = Evaluator(scene)
    one, other = (Resampled.of(judge.masks(each).mask, weights) for each in (answers, worse))

    same = difference(one, one)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    fewer = difference(one, other)
    assert fewer.low is not None
    assert fewer.value is not None
    assert fewer.high is not None
    assert fewer.low <= fewer.value <= fewer.high
    assert fewer.value == pytest.approx(100 * (one.mean_ap()[0] - other.mean_ap()[0]), abs=0.01)
    there, back = (difference(*pair, PERSON.id).value for pair in ((one, other), (other, one)))
    assert there is not None
    assert back == pytest.approx(-there)


def test_the_interval_of_a_difference_by_hand():
    # Ten photos with an object each; the better variant finds all of them, the other one all but those of two photos,
    # with equal scores. So a resample's difference depends on how often these two were drawn, and on nothing else.
    shots = [photo(number) for number in range(10)]
    scene = truth(shots, [thing(shot.id, SQUARE) for shot in shots], [PERSON])
    judge, weights = Evaluator(scene), resamples(10, 400)
    every = predictions({shot.id: [found(SQUARE)] for shot in shots})
    some = predictions({shot.id: [found(SQUARE)] if shot.id > 1 else [] for shot in shots})
    one, other = (Resampled.of(judge.masks(each).mask, weights) for each in (every, some))

    missed = weights[:, :2].sum(axis=1)
    reached = np.searchsorted(RECALLS, (10 - missed) / 10, side="right")
    expected = 100 * (1 - reached / 101)

    np.testing.assert_allclose(
        100 * (one.mean_ap() - other.mean_ap()), np.where(missed == 10, 100, expected), atol=1e-9
    )
    interval = difference(one, other)
    assert (interval.low, interval.high) == tuple(np.percentile(expected[1:], [2.5, 97.5]).round(2))


def test_reliability_of_rare_categories():
    shots = [photo(number) for number in range(1, 6)]
    objects = [thing(1, SQUARE, DOG), *(thing(shot.id, SQUARE) for shot in shots)]
    scene = truth(shots, objects)
    # The only dog is found; of five persons one is, after four false alarms.
    answers = {shot.id: [found((120, 120, 30, 30), 0.9)] for shot in shots[:4]}
    answers[1].append(found(SQUARE, 0.9, DOG))
    answers[5] = [found(SQUARE, 0.5)]

    judged = reliability(Resampled.of(Evaluator(scene).masks(predictions(answers)).mask, resamples(5, 300)))

    person, dog = judged
    assert (person.category, person.objects, person.reliable) == (PERSON.id, 5, False)
    assert person.ap50.value == pytest.approx(100 * 21 / 101 / 5, abs=0.01)  # precision 1/5 up to recall 0.2
    assert person.ap50.low == 0
    assert (dog.category, dog.objects, dog.reliable) == (DOG.id, 1, True)
    assert (dog.ap50.value, dog.ap50.low, dog.ap50.high) == (100, 100, 100)  # of resamples that hold it


def test_a_category_without_objects_has_no_judgement():
    scene = truth([photo(1)], [thing(1, SQUARE)])
    answers = predictions({1: [found(SQUARE), found(SQUARE, 0.5, DOG)]})

    judged = reliability(Resampled.of(Evaluator(scene).masks(answers).mask, resamples(1, 0)))

    assert [item.category for item in judged] == [PERSON.id]
    assert (judged[0].ap50.value, judged[0].ap50.low) == (100, None)  # no resamples, no interval
