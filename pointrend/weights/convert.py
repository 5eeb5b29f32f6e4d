"""From detectron2's checkpoint and configuration to a model folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import yaml

from pointrend.config.files import config_to_dict, read_config
from pointrend.config.schema import AnyConfig
from pointrend.modeling.network import build_network
from pointrend.structures.model_info import ModelInfo
from pointrend.weights.checkpoint import check_fit, read_checkpoint, save_safetensors
from pointrend.weights.folder import CONFIG, INFO, WEIGHTS, ModelFolder, check_categories
from pointrend.weights.parts import Note, log_note


def convert(
    checkpoint: str | Path,
    config: str | Path | AnyConfig,
    destination: str | Path,
    info: ModelInfo,
    *,
    half: bool = False,
    part: str | None = None,
    config_root: Path | None = None,
    note: Note = log_note,
) -> ModelFolder:
    """Write a model folder: safetensors, the configuration without what detectron2 assumes anyway, and ``model.json``.

    Args:
        checkpoint: as :func:`~pointrend.weights.checkpoint.read_checkpoint` reads it.
        config: of the network, or a file as :func:`pointrend.config.files.read_config` reads it.
        destination: the folder, made where it is missing; nothing is written before everything was found to fit.
        info: what ``model.json`` will say.
        half: store matrices and kernels as float16.
        part: as for :func:`~pointrend.weights.checkpoint.read_checkpoint`, and ``note`` too.
        config_root: the folder that the files of ``_BASE_`` must lie in; without it that of ``config``.
        note: told what was chosen, a sentence each time.

    Raises:
        ConfigError: the configuration cannot be built, or has another number of categories than ``info``.
        CheckpointError: the checkpoint cannot be read, or does not fit the configuration.
        OSError: the folder cannot be written.
    """
    destination = Path(destination)
    if isinstance(config, str | Path):
        config = read_config(config, config_root)
    check_categories(info, config, destination)
    state = read_checkpoint(checkpoint, part=part, note=note)
    with torch.device("meta"):
        check_fit(build_network(config), state)
    destination.mkdir(parents=True, exist_ok=True)
    save_safetensors(state, destination / WEIGHTS, half=half)
    tree = yaml.safe_dump(config_to_dict(config), sort_keys=False, default_flow_style=None)
    (destination / CONFIG).write_text(tree, encoding="utf-8")
    (destination / INFO).write_text(json.dumps(info.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return ModelFolder.open(destination)
