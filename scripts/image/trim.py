"""Remove from an image's Python packages what nothing opens while it runs: ``python trim.py SITE_PACKAGES``.

Needs ``strip``, of binutils. Each package's metadata and licences stay, and so does everything that Python imports.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

UNUSED = {
    "torch/bin/*": "PyTorch's tests and protoc",
    "torch/test": "its tests as data and programs",
    "torch/include": "headers, for C++ extensions",
    "torch/share": "its CMake files",
    "openvino/include": "headers",
    "openvino/cmake": "its CMake files",
    "openvino/libs/cache.json": "kernels tuned for GPUs",
    "openvino/libs/libopenvino_intel_gpu_plugin.so": "the engines run on the CPU",
    "openvino/libs/libopenvino_intel_npu_plugin.so": "the engines run on the CPU",
    "openvino/libs/libopenvino_jax_frontend.so*": "models come from PyTorch, or are in OpenVINO's own format",
    "openvino/libs/libopenvino_onnx_frontend.so*": "likewise",
    "openvino/libs/libopenvino_paddle_frontend.so*": "likewise",
    "openvino/libs/libopenvino_tensorflow_frontend.so*": "likewise",
    "openvino/libs/libopenvino_tensorflow_lite_frontend.so*": "likewise",
    "openvino/frontend/jax": "Python's side of these",
    "openvino/frontend/onnx": "likewise",
    "openvino/frontend/paddle": "likewise",
    "openvino/frontend/tensorflow": "likewise",
    "gradio/templates/frontend/static/ffmpeg": "cuts videos in the browser, which needs the extra `video`",
    "gradio/templates/node": "renders on a server with Node.js, which is off",
    "gradio/media_assets": "pictures, sounds and videos for demonstrations",
    "pandas/tests": "its tests",
    "sympy/**/tests": "its tests",
    "networkx/**/tests": "its tests",
    "mpmath/tests": "its tests",
    "**/__pycache__": "bytecode of all modules; `warm.py` makes that of those that run",
}
"""What goes, by patterns relative to the folder, and why; each package may be absent."""

KEPT = {"torch/bin/torch_shm_manager"}  # PyTorch does not import without it

STRIPPED = ("torch/lib/*.so",)
"""Libraries with a table of symbols that only debuggers read; the one that programs are linked by stays."""


def main(site: Path) -> None:
    """Remove, and print the sizes before and after."""
    before = size(site)
    for pattern in UNUSED:
        found = [path for path in site.glob(pattern) if path.relative_to(site).as_posix() not in KEPT]
        if not found and (site / pattern.split("/")[0]).is_dir():
            print(f"trim: {pattern} matches nothing; this build of the package has none.")
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    libraries = [path for pattern in STRIPPED for path in site.glob(pattern)]
    subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
    print(f"trim: {before / 2**20:.0f} MiB became {size(site) / 2**20:.0f}")


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
