"""Objects and masks of an image by ONNX Runtime alone: ``python onnx_predict.py FOLDER IMAGE [SCORE]``.

FOLDER is what ``pointrend export onnx demo FOLDER`` wrote. Needs numpy, onnxruntime and pillow; nothing here is
particular to Python. Boxes are (x0, y0, x1, y1) in pixels, of the network's input until the last step.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def read(grid, places):
    """Bilinear values (P, C) of a map (h, w, C) at places (P, 2), (x, y) with cell centres at .5; zero beyond."""
    first = np.floor(places - 0.5).astype(int)
    after = places - 0.5 - first
    padded = np.pad(grid, ((1, 1), (1, 1), (0, 0)))
    x, y = (np.clip(first[:, axis] + 1, 0, padded.shape[1 - axis] - 2) for axis in (0, 1))
    inside = ((first >= -1) & (first < (grid.shape[1], grid.shape[0]))).all(axis=1)[:, None]
    (fx, fy) = (after[:, :1], after[:, 1:])
    top = padded[y, x] * (1 - fx) + padded[y, x + 1] * fx
    bottom = padded[y + 1, x] * (1 - fx) + padded[y + 1, x + 1] * fx
    return ((top * (1 - fy) + bottom * fy) * inside).astype(np.float32)


def centres(side):
    """Centres (side * side, 2) of a grid over [0, 1], row by row."""
    line = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(line, line), axis=2).reshape(-1, 2)


def prepare(image, told):
    """The network's input (1, 3, H, W), and the image's size in it (height, width)."""
    scale = min(told["min_size"] / min(image.size), told["max_size"] / max(image.size))
    sides = [int(side * scale + 0.5) for side in image.size]
    width, height = sides if told["keep_aspect"] else [told["min_size"]] * 2
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    pixels = pixels[:, :, :: -1 if told["order"] == "BGR" else 1]
    padding = [(0, -side % told["divisor"]) for side in (height, width)]
    normal = (pixels - np.float32(told["mean"])) / np.float32(told["std"])
    return np.pad(normal, (*padding, (0, 0))).transpose(2, 0, 1)[None].astype(np.float32), (height, width)


def detect(maps, told, size, classes):
    """Boxes (D, 4), scores (D,) and classes (D,), best first."""
    boxes, scores = [], []
    for stride in told["strides"]:
        cells = maps[f"cells{stride}"][0]
        y, x = (each.ravel() * stride for each in np.indices(cells.shape[:2]))
        cells = cells.reshape(-1, cells.shape[2])
        bins = np.exp(cells[:, classes:].reshape(len(cells), 4, told["bins"]))
        left, top, right, bottom = ((bins / bins.sum(2, keepdims=True)) @ np.arange(told["bins"]) * stride).T
        boxes.append(np.stack((x - left, y - top, x + right, y + bottom), axis=1))
        scores.append(sigmoid(cells[:, :classes]))
    boxes, scores = np.concatenate(boxes).clip(0, (size[1], size[0]) * 2), np.concatenate(scores)
    cells, labels = np.nonzero((scores > told["score_threshold"]) & (boxes[:, 2:] > boxes[:, :2]).all(1)[:, None])
    order = np.argsort(-scores[cells, labels], kind="stable")
    cells, labels, kept = cells[order], labels[order], []
    for place, (cell, label) in enumerate(zip(cells, labels, strict=True)):  # suppression within a class
        rivals = boxes[[cells[i] for i in kept if labels[i] == label]].reshape(-1, 4)
        low, high = np.maximum(rivals[:, :2], boxes[cell, :2]), np.minimum(rivals[:, 2:], boxes[cell, 2:])
        shared = np.prod((high - low).clip(0), axis=1)
        union = np.prod(rivals[:, 2:] - rivals[:, :2], axis=1) + np.prod(boxes[cell, 2:] - boxes[cell, :2]) - shared
        if not (shared / union > told["nms_threshold"]).any():
            kept.append(place)
    kept = kept[: told["max_detections"]]
    slope, offset = told["calibration"]
    raw = scores[cells[kept], labels[kept]]
    return boxes[cells[kept]], sigmoid(slope * np.log(raw / (1 - raw)) + offset), labels[kept]


def refine(maps, box, told, run):
    """The mask's logits (S, S) over a box."""
    fine, coarse = maps[told["fine"]["map"]][0], maps[told["coarse"]["map"]][0]
    corner, extent = box[:2], box[2:] - box[:2]
    sampled = read(coarse, (corner + centres(told["bins"]) * extent) / told["coarse"]["stride"])
    sampled = sampled.T.reshape(1, -1, told["bins"], told["bins"])
    guess = run("coarse", sampled=sampled)["coarse"][0].transpose(1, 2, 0)  # (7, 7, K + X)

    def predict(points):
        features = read(fine, (corner + points * extent) / told["fine"]["stride"])
        seen = read(guess, points * guess.shape[1])
        return run("points", fine=features[None], coarse=seen[None])["logits"][0]

    side = told["first_side"]
    mask = predict(centres(side)).reshape(side, side)
    for _ in range(told["doublings"]):
        side *= 2
        edge = np.pad(mask, 1, mode="edge")[:, :, None]
        mask = read(edge, centres(side) * (side // 2) + 1)[:, 0]
        unsure = np.argpartition(np.abs(mask), told["points"] - 1)[: told["points"]]
        mask[unsure] = predict(centres(side)[unsure])
        mask = mask.reshape(side, side)
    return mask


def paste(mask, box, width, height):
    """The mask (height, width) of the whole image; the box is in the image's pixels."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    places = np.stack(((x - box[0]) / (box[2] - box[0]), (y - box[1]) / (box[3] - box[1])), axis=2).reshape(-1, 2)
    return (read(sigmoid(mask)[:, :, None], places * len(mask)) >= 0.5).reshape(height, width)


def predict(folder, image, least=0.5):
    """Every object of an RGB picture as (category, score, box, mask (height, width) bool), best first."""
    told = json.loads((folder / "pipeline.json").read_text())
    sessions = {name: onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("trunk", "coarse", "points")}

    def run(name, **inputs):
        outputs = [each.name for each in sessions[name].get_outputs()]
        return dict(zip(outputs, sessions[name].run(outputs, inputs), strict=True))

    pixels, size = prepare(image, told["input"])
    maps = run("trunk", image=pixels)
    scale = np.array((image.width / size[1], image.height / size[0]) * 2)
    for box, score, label in zip(*detect(maps, told["detector"], size, len(told["categories"])), strict=True):
        if score >= least:
            mask = paste(refine(maps, box, told["masks"], run), box * scale, image.width, image.height)
            yield told["categories"][label]["name"], float(score), box * scale, mask


if __name__ == "__main__":
    threshold = float(sys.argv[3]) if len(sys.argv) > 3 else 0.5
    picture = Image.open(sys.argv[2]).convert("RGB")
    for number, (name, score, box, mask) in enumerate(predict(Path(sys.argv[1]), picture, threshold), start=1):
        file = f"mask-{number}.png"
        Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(file)
        print(f"{name} {score:.3f} box {[round(float(side), 1) for side in box]} mask {int(mask.sum())} pixels, {file}")
