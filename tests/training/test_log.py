from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pointrend.training.log import CSV_NAME, Log, draw_curve, read_rows


def figures(value: float) -> dict[str, float]:
    return {"loss_box": value, "loss_total": 2 * value, "rate": 0.001}


def test_rows_and_events_hold_what_was_added(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for step in (10, 20):
            log.add(step, figures(step / 10))
    assert [(row["step"], row["loss_total"]) for row in read_rows(tmp_path / CSV_NAME)] == [(10, 2.0), (20, 4.0)]
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss_box")] == [(10, 1.0), (20, 2.0)]


def test_a_resumed_log_goes_on_after_its_step(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for step in (10, 20, 30):
            log.add(step, figures(step))
    with (tmp_path / CSV_NAME).open("a") as file:
        file.write("40,1.0")  # the kill came while this row was written
    with Log(tmp_path, step=20) as log:
        log.add(30, figures(7))
    rows = read_rows(tmp_path / CSV_NAME)
    assert [(row["step"], row["loss_box"]) for row in rows] == [(10, 10), (20, 20), (30, 7)]


def test_the_curve_is_a_picture_with_lines(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for step in range(1, 200):
            log.add(step, figures(1 + 5 / step))
    draw_curve(tmp_path / CSV_NAME, tmp_path / "curve.png")
    picture = np.asarray(Image.open(tmp_path / "curve.png").convert("RGB")).astype(int)
    assert picture.shape[:2] == (540, 960)
    coloured = np.ptp(picture, axis=2) > 60
    assert coloured.sum() > 500  # grey axes and white paper alone have no colour
