"""Import NanoDet-Plus-m 416 (RangiLyu, Apache-2.0), as published in ncnn's format, and check it against ncnn.

    python scripts/import_nanodet.py nanodet-plus-m-416.param nanodet-plus-m-416.bin --out nanodet
    python scripts/import_nanodet.py ... --check image.png   # needs: pip install ncnn

Writes ``detector.safetensors``, from which a training of the one-stage model starts, and whose boxes it keeps. With
``--check`` both ncnn and this project's network run on an image, and the largest difference of their outputs is
printed; ``--golden FILE`` keeps samples of what ncnn gave, for tests where it is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image

from pointrend.config.files import read_config
from pointrend.config.schema import OneStageConfig
from pointrend.modeling.one_stage.detector import Detector
from pointrend.modeling.one_stage.gfl_head import by_cell
from pointrend.modeling.preprocess import resize, to_input
from pointrend.weights.checkpoint import load_into, save_safetensors
from pointrend.weights.nanodet import detector_weights
from pointrend.weights.ncnn import read_convolutions

CONFIG = Path(__file__).parents[1] / "pointrend/training/recipes/one-stage-network.yaml"
STEP = 7  # every so many cells are kept as golden samples


def main(
    param: Annotated[Path, typer.Argument(help="The graph.")],
    binary: Annotated[Path, typer.Argument(help="Its weights.")],
    out: Annotated[Path, typer.Option(help="The folder that receives the weights.")] = Path("nanodet"),
    check: Annotated[Path | None, typer.Option(help="Compare with ncnn on this image.")] = None,
    golden: Annotated[Path | None, typer.Option(help="Write samples of ncnn's outputs here (.npz).")] = None,
) -> None:
    """Convert, write, and compare."""
    config = read_config(CONFIG)
    assert isinstance(config, OneStageConfig)
    detector = Detector(config).eval()
    load_into(detector, detector_weights(detector, read_convolutions(param, binary)))
    out.mkdir(parents=True, exist_ok=True)
    state = {f"detector.{name}": tensor for name, tensor in detector.state_dict().items()}
    save_safetensors(state, out / "detector.safetensors", half=True)
    print(f"{sum(tensor.numel() for tensor in state.values()):,} weights written to {out / 'detector.safetensors'}")
    if check is None:
        return
    images, _ = to_input(resize(np.asarray(Image.open(check).convert("RGB")), config), config)
    with torch.inference_mode():
        logits, bins = by_cell(detector(images).predictions, config.num_classes)
    ours = torch.cat([logits, bins.flatten(2)], dim=2)[0].numpy()
    theirs = ncnn_outputs(param, binary, images[0].numpy())
    print(f"largest difference {np.abs(ours - theirs).max():.2g} of outputs up to {np.abs(theirs).max():.1f}")
    if golden is not None:
        statistics = {"mean": theirs.mean(axis=0), "std": theirs.std(axis=0), "shape": np.array(theirs.shape)}
        np.savez_compressed(golden, samples=theirs[::STEP], step=np.array(STEP), **statistics)


def ncnn_outputs(param: Path, binary: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What ncnn makes of a normalised image (3, H, W), in float32 throughout: (A, K + 4B)."""
    import ncnn  # only needed to compare

    net: Any = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(str(param))
    net.load_model(str(binary))
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)).clone())
    _, output = extractor.extract("out0")
    result: NDArray[np.float32] = np.array(output).T
    return result


if __name__ == "__main__":
    typer.run(main)
