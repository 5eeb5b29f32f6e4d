"""A real Label Studio for the tests: from the registry, in an environment of its own, on SQLite, asking nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

VERSION = "1.23.2"
EMAIL, PASSWORD = "annotator@example.org", "a-password-of-tests"
KEY = "0123456789abcdef0123456789abcdef01234567"
PATIENCE_SECONDS = 180
SETTINGS = {
    "DJANGO_DB": "sqlite",
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    # the backend is on this machine
    "ML_BLOCK_LOCAL_IP": "false",
    "SSRF_PROTECTION_ENABLED": "false",
    "LOG_LEVEL": "WARNING",
}


def install(folder: Path) -> Path:
    """Make the environment; returns its ``label-studio``."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", f"label-studio=={VERSION}"]
    subprocess.run(command, check=True, timeout=400, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "bin" / "label-studio"


@dataclass(frozen=True)
class LabelStudio:
    """One that runs.

    Attributes:
        url: where.
        http: its API, for its only user.
    """

    url: str
    http: httpx.Client

    def ask(self, method: str, path: str, **request: Any) -> Any:
        """An answer's JSON; a refusal fails the test."""
        answer = self.http.request(method, path, **request)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def project(self, labelling: str, *photos: Path) -> tuple[int, list[int]]:
        """A project with photos: its id, and its tasks'."""
        project = self.ask("POST", "/api/projects", json={"title": "Photos", "label_config": labelling})["id"]
        for photo in photos:
            self.ask("POST", f"/api/projects/{project}/import", files={"file": (photo.name, photo.read_bytes())})
        tasks = self.ask("GET", "/api/tasks", params={"project": project, "ordering": "id"})["tasks"]
        return project, sorted(task["id"] for task in tasks)

    def predictions(self, task: int) -> list[dict[str, Any]]:
        """What was predicted of a task."""
        found: list[dict[str, Any]] = self.ask("GET", "/api/predictions", params={"task": task})
        return found

    def retrieve(self, project: int) -> None:
        """Ask the backend for predictions of all tasks, as an annotator does in the data manager."""
        body = {"selectedItems": {"all": True, "excluded": []}, "ordering": []}
        parameters = {"id": "retrieve_tasks_predictions", "project": project}
        self.ask("POST", "/api/dm/actions", params=parameters, json=body)


@contextmanager
def running(program: Path, folder: Path, port: int) -> Iterator[LabelStudio]:
    """One that is ready, with its data in a folder; killed at the end."""
    url = f"http://127.0.0.1:{port}"
    command = [str(program), "start", "--no-browser", "--data-dir", str(folder), "--port", str(port)]
    command += ["--internal-host", "127.0.0.1", "--username", EMAIL, "--password", PASSWORD]
    command += ["--user-token", KEY, "--enable-legacy-api-token", "--skip-long-migrations"]
    with (folder / "output.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | SETTINGS, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=url, headers={"Authorization": f"Token {KEY}"}, timeout=60) as http:
            for _ in range(2 * PATIENCE_SECONDS):
                assert process.poll() is None, (folder / "output.log").read_text()
                try:
                    if http.get("/health").is_success:
                        break
                except httpx.TransportError:
                    pass
                threading.Event().wait(0.5)
            yield LabelStudio(url, http)
    finally:
        process.kill()
        process.wait()
