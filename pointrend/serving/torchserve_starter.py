"""TorchServe's own starter, which becomes its Java process rather than waiting for it.

The starter alone would exit with 0 however Java ended, and stay in memory beside it. Run as
``python -m pointrend.serving.torchserve_starter``, with the arguments of ``torchserve``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ts import model_server


def java_cache() -> Path:
    """What Java's start loads and links, kept by ``scripts/image/warm.py`` beside the packages of the image."""
    return Path(sys.prefix, "torchserve.aot")


def become(command: Sequence[str]) -> NoReturn:
    """Take the place of :class:`subprocess.Popen`: run a command in place of this process.

    Args:
        command: Java, and what TorchServe gives it.
    """
    # As TorchServe's own starter does, for `torchserve --stop`.
    Path(tempfile.gettempdir(), ".model_server.pid").write_text(str(os.getpid()))
    program, *arguments = adapted(command)
    sys.stdout.flush()
    os.execvp(program, [program, *arguments])


def adapted(command: Sequence[str]) -> list[str]:
    """TorchServe's command for Java, with the cache where there is one.

    The working directory is no place for classes: none is there, and Java keeps no cache where one could be.
    """
    program, *arguments = command
    place = arguments.index("-cp") + 1
    arguments[place] = os.pathsep.join(each for each in arguments[place].split(os.pathsep) if each != ".")
    cache = java_cache()
    writes = any(each.startswith("-XX:AOTCacheOutput=") for each in arguments)
    if cache.is_file() and not writes and Path(program).is_relative_to(sys.prefix):  # it is that Java's, of no other
        # What it warns of is that it starts without.
        arguments[:0] = [f"-XX:AOTCache={cache}", "-Xlog:aot*=error,cds*=error"]
    return [program, *arguments]


def main() -> None:
    """Start TorchServe; returns where it cannot be started."""
    model_server.subprocess.Popen = become
    model_server.start()
    sys.exit(1)


if __name__ == "__main__":
    main()
