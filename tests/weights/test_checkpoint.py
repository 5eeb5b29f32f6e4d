"""Checkpoints: every format and generation of names gives the same tensors; nothing in them is ever run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pointrend.config.files import read_config
from pointrend.config.schema import ModelConfig
from pointrend.errors import CheckpointError
from pointrend.modeling.rcnn import RCNN
from pointrend.weights.checkpoint import load_into, read_checkpoint, save_safetensors
from pointrend.weights.unpickle import load_arrays

GOLDEN = Path(__file__).parents[1] / "golden"
PORTRAIT = GOLDEN / "pointrend_3class_portrait"


def dump(path: Path, tree: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(tree, protocol=protocol))
    return path


def old_numpy_names(data: bytes) -> bytes:
    """A pickle of protocol 2 or 3 as numpy before version 2 wrote it: names of these protocols are plain lines."""
    return data.replace(b"cnumpy._core.", b"cnumpy.core.")


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_and_array_layout(tmp_path: Path, protocol: int) -> None:
    arrays: dict[str, Any] = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        "half": np.array([1.5, -2], np.float16),
        "big_endian": np.array([1, 2, 3], ">i4"),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
        "scalar_array": np.array(7, np.int64),
        "scalar": np.float32(0.25),
    }
    state = read_checkpoint(dump(tmp_path / "m.pkl", {"model": arrays, "__author__": "somebody"}, protocol))
    assert state.keys() == arrays.keys()
    for key, array in arrays.items():
        assert state[key].shape == array.shape
        np.testing.assert_array_equal(state[key].numpy(), array)


@pytest.mark.parametrize("protocol", [2, 3])
def test_old_numpy_names(tmp_path: Path, protocol: int) -> None:
    data = old_numpy_names(pickle.dumps({"model": {"w": np.arange(4.0)}}, protocol=protocol))
    assert b"numpy.core.multiarray" in data
    (tmp_path / "m.pkl").write_bytes(data)
    assert read_checkpoint(tmp_path / "m.pkl")["w"].tolist() == [0, 1, 2, 3]


def test_python_2_strings_are_bytes() -> None:
    # Python 2 wrote an array's bytes as a string (opcode U); there, a string is bytes.
    data = old_numpy_names(pickle.dumps(np.array([1.0, -2.5], np.float32), protocol=3))
    content = np.array([1.0, -2.5], np.float32).tobytes()
    assert b"C\x08" + content in data
    loaded = load_arrays(io.BytesIO(data.replace(b"C\x08" + content, b"U\x08" + content)))
    assert loaded.numpy().tolist() == [1.0, -2.5]


def test_ordered_dictionaries_and_nested_wrappers(tmp_path: Path) -> None:
    inner = OrderedDict(w=np.ones(2, np.float32))
    inner._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]  # as torch's state dicts have
    state = read_checkpoint(dump(tmp_path / "m.pkl", {"model": {"state_dict": inner}, "iteration": 3}))
    assert state["w"].tolist() == [1, 1]


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_torch_and_safetensors_files(tmp_path: Path, suffix: str) -> None:
    state = {"a.weight": torch.randn(2, 3), "a.bias": torch.randn(2)}
    path = tmp_path / f"m{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state, "optimizer": {"lr": 0.1}, "iteration": 7}, path)
    assert same(read_checkpoint(path), state)


class Attack:
    """Pickles as a call of ``function(*args)``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("suffix", "protocol", "reason"),
    [
        *((".pkl", protocol, r"asks for (posix|nt)\.mkdir") for protocol in (2, 3, 4)),
        (".pth", 2, r"asks for (posix|nt)\.mkdir"),
        (".pth", 4, "nothing was run"),  # torch reads no such protocol, so it gets to no name
    ],
)
def test_a_pickle_that_runs_code_is_refused_by_name_and_not_run(
    tmp_path: Path, suffix: str, protocol: int, reason: str
) -> None:
    proof = tmp_path / "proof"
    tree = {"model": {"w": Attack(os.mkdir, str(proof))}}
    path = dump(tmp_path / f"m{suffix}", tree, protocol)
    with pytest.raises(CheckpointError, match=reason) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert not proof.exists()
    pickle.loads(path.read_bytes())
    assert proof.exists(), "the attack would have worked"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Attack(eval, "1"), "builtins.eval"),
        (Attack(getattr, "x", "upper"), "builtins.getattr"),
        (Attack(subprocess.Popen, "true"), "subprocess.Popen"),
        (Attack(np.load, "x"), "numpy"),
        (Path("x"), "pathlib"),
        (nn.Identity(), "torch"),
        (torch.ones(2), "torch._utils._rebuild_tensor_v2"),
    ],
)
def test_anything_but_arrays_and_containers_is_refused_by_name(tmp_path: Path, value: Any, name: str) -> None:
    with pytest.raises(CheckpointError, match=f"asks for {name}.*nothing was run"):
        read_checkpoint(dump(tmp_path / "m.pkl", {"model": {"w": value}}))


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.array([{}, Attack(eval, "1")], object), "Python objects"),
        (np.array(["text"]), "'U4'"),
        (np.array([b"text"]), "'S4'"),
        (np.zeros(2, [("x", "f4")]), "'V4'"),
        (np.array([1j]), "'c16'"),
        (np.array(["2020-01-01"], "M8[D]"), "'M8'"),
    ],
)
def test_arrays_of_anything_but_plain_numbers_are_refused(tmp_path: Path, array: np.ndarray, kind: str) -> None:
    with pytest.raises(CheckpointError, match=rf"an array of .*{kind}"):
        read_checkpoint(dump(tmp_path / "m.pkl", {"model": {"w": array}}))


def assemble(*parts: bytes) -> io.BytesIO:
    return io.BytesIO(b"\x80\x02" + b"".join(parts) + b".")


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
FLOAT32 = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
EMPTY_ARRAY = RECONSTRUCT + b"(tR"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        # The state claims 2 numbers, and brings the bytes of 1.
        ((EMPTY_ARRAY, b"(K\x01K\x02\x85", FLOAT32, b"\x89U\x04\x00\x00\x00\x00tb"), "but 4 bytes"),
        ((EMPTY_ARRAY, b"(K\x01J\xff\xff\xff\xff\x85", FLOAT32, b"\x89U\x00tb"), r"shape \(-1,\)"),
        ((EMPTY_ARRAY, b"(K\x01K\x01\x85U\x02f4\x89U\x04\x00\x00\x00\x00tb"), "no known type"),
        ((EMPTY_ARRAY, b"(K\x01K\x01\x85", FLOAT32, b"\x89Ntb"), "not bytes"),
        ((b"cnumpy\ndtype\n(U\x02f4tR(K\x03U\x01ONNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",), "byte order 'O'"),
        ((b"cnumpy\nndarray\n(K\x02\x85tR",), "in a way that numpy does not"),
        ((b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x04\x00\x00\x00zliptR",), "Latin-1"),
        ((RECONSTRUCT, b"}X\x01\x00\x00\x00xK\x01sb"), "damaged"),  # sets an attribute of the function
        ((RECONSTRUCT, b"N}X\x05\x00\x00\x00_callK\x01s\x86b"), "alter a function"),
        ((b"Pelsewhere\n",), "outside of itself"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_forged_states_are_refused(parts: tuple[bytes, ...], message: str) -> None:
    file = assemble(*parts)
    pickletools.dis(file.getvalue(), out=io.StringIO())  # well-formed: it is the content that is refused
    with pytest.raises(CheckpointError, match=message):
        load_arrays(file)


def test_an_array_without_content_is_refused() -> None:
    with pytest.raises(CheckpointError, match="without content"):
        load_arrays(assemble(EMPTY_ARRAY)).numpy()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_raises_nothing_but_checkpoint_errors(data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps({"model": {"w": np.arange(4, dtype=np.float32)}}, protocol=2))
    place = data.draw(st.integers(2, len(whole) - 1))
    whole[place] = data.draw(st.sampled_from(b"\x00\x01.(KNRUX}abcdetu\x85\x86\x87"))
    cut = data.draw(st.integers(3, len(whole)))
    # Damage may also go unseen, such as in a number: only another kind of error fails.
    with contextlib.suppress(CheckpointError):
        load_arrays(io.BytesIO(bytes(whole[:cut])))


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "absent", "folder"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"m{suffix}"
    state = {"w": torch.randn(1000)}
    if suffix == ".pkl":
        dump(path, {"model": {"w": np.zeros(1000)}})
    else:
        save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2]}.get(damage, b"\xff\x00" * 50))
    if damage in ("absent", "folder"):
        path.unlink()
    if damage == "folder":
        path.mkdir()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    if damage == "empty":
        assert "the file is empty" in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([1, 2], "it holds a list"),
        ({"model": {}}, "holds no weights"),
        ({"model": {"w": "text"}}, "w is a str, not an array"),
        ({"blobs": {"w": np.ones(1)}}, "blobs is a dict, not an array"),
        (
            {f"roi_heads.mask_head.coarse_head.{name}.bias": np.ones(1) for name in ("fc1", "coarse_mask_fc1")},
            "twice, under names of different detectron2 versions",
        ),
    ],
)
def test_what_holds_no_weights_is_refused(tmp_path: Path, tree: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(dump(tmp_path / "m.pkl", tree))


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"\.pkl, \.pth, \.pt, \.safetensors, not from '?\.onnx"):
        read_checkpoint(dump(tmp_path / "m.onnx", {}))


def names_of_2021(key: str) -> str:
    return key.replace(".coarse_head.fc", ".coarse_head.coarse_mask_fc")


def names_of_2020(key: str) -> str:
    renamed = names_of_2021(key).replace(".mask_head.coarse_head.", ".mask_coarse_head.")
    return renamed.replace(".mask_head.point_head.", ".mask_point_head.")


@pytest.mark.parametrize("rename", [names_of_2020, names_of_2021])
def test_generations_of_names_load_to_the_same(tmp_path: Path, rename: Callable[[str], str]) -> None:
    wanted = read_checkpoint(PORTRAIT / "model_final.pkl")
    older = {rename(key): value.numpy() for key, value in wanted.items()}
    assert sum(key not in wanted for key in older) >= 4
    assert same(read_checkpoint(dump(tmp_path / "old.pkl", {"model": older}, protocol=2)), wanted)


@pytest.mark.parametrize(
    "case", ["pointrend_coco80_landscape", "pointrend_3class_portrait", "maskrcnn_coco80_landscape"]
)
def test_golden_checkpoints_fit_their_models(case: str) -> None:
    config = read_config(GOLDEN / case / "config.yaml")
    assert isinstance(config, ModelConfig)
    model = RCNN(config)
    state = read_checkpoint(GOLDEN / case / "model_final.pkl")
    load_into(model, state)
    assert same(model.state_dict(), state)


def test_stale_keys_are_dropped(tmp_path: Path) -> None:
    stale = ["pixel_mean", "pixel_std", "proposal_generator.anchor_generator.cell_anchors.4", "x.num_batches_tracked"]
    tree = {key: np.ones(1, np.float32) for key in [*stale, "w", "my_pixel_mean"]}
    assert set(read_checkpoint(dump(tmp_path / "m.pkl", tree))) == {"w", "my_pixel_mean"}


def test_numbers_become_the_models_own() -> None:
    model = nn.Linear(3, 2)
    state = {"weight": torch.ones(2, 3, dtype=torch.float16), "bias": torch.ones(2, dtype=torch.float64)}
    load_into(model, state)
    assert model.weight.dtype == model.bias.dtype == torch.float32
    assert float(model.weight.detach().sum()) == 6


def test_a_misfit_lists_every_kind_and_changes_nothing() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {
        "0.weight": torch.ones(2, 4),
        "0.bias": torch.ones(2),
        "1.weight": torch.ones(1, 2),
        "extra": torch.ones(1),
    }
    with pytest.raises(CheckpointError) as caught:
        load_into(model, state)
    message = str(caught.value)
    assert "1 missing: 1.bias 1" in message
    assert "1 unexpected: extra 1" in message
    assert "1 misshapen: 0.weight wants 2x3, found 2x4" in message
    assert same(model.state_dict(), before)


def test_a_long_misfit_is_counted_but_not_listed_whole() -> None:
    state = {f"unknown.{number}": torch.ones(1) for number in range(5000)}
    with pytest.raises(CheckpointError, match=r"5000 unexpected: .* and 4990 more") as caught:
        load_into(nn.Identity(), state)
    assert len(str(caught.value)) < 1000


def test_safetensors_keep_every_bit(tmp_path: Path) -> None:
    state = {"w": torch.randn(4, 3).t(), "n": torch.arange(3)}
    path = tmp_path / "m.safetensors"
    save_safetensors(state, path)
    assert same(read_checkpoint(path), state)
    assert list(tmp_path.iterdir()) == [path]
    usual = tmp_path / "usual"
    usual.touch()
    assert path.stat().st_mode == usual.stat().st_mode


def test_half_spares_vectors_and_what_would_overflow(tmp_path: Path) -> None:
    state = {
        "matrix": torch.randn(4, 3),
        "variance": torch.tensor([1e-9, 1e6]),
        "huge": torch.full((2, 2), 1e6),
        "count": torch.ones(2, 2, dtype=torch.int64),
    }
    save_safetensors(state, tmp_path / "m.safetensors", half=True)
    written = load_file(tmp_path / "m.safetensors")
    assert written["matrix"].dtype == torch.float16
    assert torch.equal(written["matrix"], state["matrix"].half())
    assert same({key: written[key] for key in ("variance", "huge", "count")}, {k: state[k] for k in list(state)[1:]})


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "m.safetensors"
    target.mkdir()
    with pytest.raises(OSError, match="safetensors"):
        save_safetensors({"w": torch.ones(1)}, target)
    assert list(tmp_path.iterdir()) == [target]
