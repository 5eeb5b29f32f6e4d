"""The files that visitors upload: whose each is, how long it is kept, and how it is opened.

Nothing else is ever opened for a visitor. A path that a request names is looked up among the uploads; the disk is not
touched for one that is not there, so that no answer, and no delay, tells which other files exist.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradio_app import upload_errors
from gradio_app.callers import Caller
from gradio_app.rates import Rates
from gradio_app.safe_files import check_regular, delete_old, read_data_url, read_regular
from gradio_app.upload_limits import UploadLimits
from gradio_app.upload_records import Arrival, Upload
from pointrend.errors import InvalidRequest, RequestError, ServerError

FILE_META = {"_type": "gradio.FileData"}  # by it Gradio knows a file
MAX_DEPTH = 32  # of lists and objects in a request; the page's own have 3
EXPIRED_KEPT = 10_000  # paths that are remembered after their file, so that it can be said what became of it


class Uploads:
    """All uploads of one page.

    Args:
        folder: where the page keeps files, and nothing else does.
        limits: what uploads may cost.
        clock: seconds that only go up.
    """

    def __init__(
        self, folder: Path, limits: UploadLimits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.limits = limits or UploadLimits()
        self._received = self.folder / "received"
        self._clock = clock
        self._lock = threading.RLock()
        self._uploads: dict[str, Upload] = {}
        self._arrivals: set[Arrival] = set()
        self._size = 0  # of all uploads, kept or under way
        self._own: frozenset[str] = frozenset()
        self._visitor_rates = Rates(self.limits.visitor_rate, clock)
        self._network_rates = Rates(self.limits.network_rate, clock)

    def publish(self, paths: Iterable[str]) -> None:
        """Let everybody use these files: the page's own, such as its examples."""
        self._own = frozenset(paths)

    @contextmanager
    def receive(self, caller: Caller) -> Iterator[Arrival]:
        """An upload that begins; at the end, what was not kept is deleted.

        Raises:
            RequestError: too many came, or come at once; or the folder cannot be written.
        """
        self._check_rate(caller)
        arrival = Arrival(caller, self._received / secrets.token_urlsafe(24), self._make_room)
        with self._lock:
            if sum(each.caller.network == caller.network for each in self._arrivals) >= self.limits.at_once:
                raise upload_errors.too_many(
                    f"At most {self.limits.at_once} uploads are received from one address at a time; wait for one."
                )
            self._arrivals.add(arrival)
        try:
            with upload_errors.storing():
                arrival.folder.mkdir(mode=0o700, parents=True)
                yield arrival
        finally:
            with self._lock:
                self._arrivals.remove(arrival)
                self._size -= arrival.size
            if not arrival.is_kept:
                shutil.rmtree(arrival.folder, ignore_errors=True)

    def keep(self, arrival: Arrival, files: Mapping[str, Path], visitor: str) -> list[str]:
        """Make files of an arrival uploads of its caller.

        Args:
            arrival: still open.
            files: by the name that each shall have, where it was written.
            visitor: the caller's name, new to one who had none.

        Returns:
            where each lies now.
        """
        kept = {}
        for name, written in files.items():
            path = written.rename(arrival.folder / name)
            kept[str(path)] = Upload(
                path,
                path.stat().st_size,
                self._clock(),
                arrival.caller.network,
                visitor,
                keeps_cookies=arrival.caller.visitor is not None,
            )
        with self._lock:
            arrival.is_kept = True
            self._size += sum(upload.size for upload in kept.values())
            self._uploads |= kept
        return list(kept)

    def admit(self, data: Any, caller: Caller, depth: int = 0) -> Any:
        """Check what a request brings, before anything else of the page sees it.

        Args:
            data: JSON's values; an object with ``path`` or ``url`` in it stands for a file, wherever it is.
            caller: whose request it is.
            depth: of ``data`` in the request.

        Returns:
            the same, each file described as this store knows it, or by its ``data:`` URL.

        Raises:
            RequestError: it names a file that the caller did not upload, or that is no longer kept.
        """
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"The request is nested more than {MAX_DEPTH} levels deep.", limit=MAX_DEPTH)
        if isinstance(data, dict):
            if "path" in data or "url" in data:
                return self._admit_file(data.get("path"), data.get("url"), caller)
            return {key: self.admit(value, caller, depth + 1) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.admit(value, caller, depth + 1) for value in data]
        return data

    def _admit_file(self, path: Any, url: Any, caller: Caller) -> dict[str, Any] | None:
        if not path and not url:
            return None
        if not path and isinstance(url, str) and url.startswith("data:"):
            if 3 * len(url) // 4 > self.limits.file_bytes + 1024:
                raise upload_errors.too_large(self.limits.file_bytes, 3 * len(url) // 4)
            return {"path": None, "url": url, "meta": FILE_META}
        self._check_kept(path, caller)
        with self._opening():
            check_regular(os.lstat(path), self.limits.file_bytes)
        return {"path": path, "orig_name": Path(path).name, "meta": FILE_META}

    def read(self, file: Mapping[str, Any] | str) -> bytes:
        """The bytes of a file that :meth:`admit` has let in.

        Args:
            file: as a component gives it: its description, or its path.

        Raises:
            RequestError: it is no such file, is no longer kept, or cannot be read.
        """
        path, url = (file, None) if isinstance(file, str) else (file.get("path"), file.get("url"))
        if not path and url:
            return read_data_url(url)
        self._check_kept(path)
        with self._opening():
            return read_regular(str(path), self.limits.file_bytes)

    def may_fetch(self, path: str, caller: Caller) -> bool:
        """Whether a caller may see a file by its address: an own upload, or a result, whose name nobody guesses."""
        if "\0" in path:
            return False
        real = os.path.realpath(path)
        with self._lock:
            upload = self._uploads.get(real)
        if upload is not None:
            mine = upload.visitor == caller.visitor if caller.visitor else not upload.keeps_cookies
            return mine and not upload.expired
        place = Path(real)
        if not place.is_relative_to(self.folder) or place.is_relative_to(self._received):
            return False
        try:
            check_regular(os.lstat(real), self.limits.result_bytes)
        except (OSError, RequestError):
            return False
        return True

    def sweep(self, grace_seconds: float = 0) -> None:
        """Delete what is too old: uploads, results, and what was left over; and the oldest results of too many.

        Args:
            grace_seconds: for what is no upload: Gradio deletes it by itself, and may do so first.
        """
        with self._lock:
            for upload in self._uploads.values():
                if not upload.expired and self._is_old(upload):
                    self._expire(upload)
            gone = [path for path, upload in self._uploads.items() if upload.expired]
            for path in gone[: max(0, len(gone) - EXPIRED_KEPT)]:
                del self._uploads[path]
            stay = self._own | self._uploads.keys()
            under_way = [arrival.folder for arrival in self._arrivals]
        seconds = self.limits.kept_seconds + grace_seconds
        delete_old(self.folder, but=stay, skip=under_way, room=self.limits.result_bytes, seconds=seconds)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_rate(self, caller: Caller) -> None:
        wait = self._network_rates.take(caller.network)
        if not wait and caller.visitor is not None:
            wait = self._visitor_rates.take(caller.visitor)
        if wait:
            raise upload_errors.too_many(f"Too many uploads came from you; try again in {wait} s.", wait=wait)

    def _check_kept(self, path: Any, caller: Caller | None = None) -> None:
        """Refuse what is no upload, or not the caller's where there is one; or what is too old."""
        with self._lock:
            if isinstance(path, str) and path in self._own:
                return
            upload = self._uploads.get(path) if isinstance(path, str) else None
            if upload is None or (caller is not None and not upload.belongs_to(caller)):
                raise upload_errors.not_uploaded()
            if upload.expired or self._is_old(upload):
                raise upload_errors.expired(self.limits.kept_seconds)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise upload_errors.expired(self.limits.kept_seconds) from error
        except OSError as error:
            raise ServerError("The page could not read the upload; upload the image again.", field="image") from error

    def _make_room(self, count: int) -> None:
        """Delete the oldest uploads of whoever has most: a file is needed for seconds only."""
        with self._lock:
            while self._size + count > self.limits.folder_bytes:
                kept = [upload for upload in self._uploads.values() if not upload.expired]
                if not kept:
                    raise upload_errors.full()
                shares: Counter[str] = Counter()
                for upload in kept:
                    shares[upload.network] += upload.size
                largest = shares.most_common(1)[0][0]
                self._expire(next(upload for upload in kept if upload.network == largest))
            self._size += count

    def _is_old(self, upload: Upload) -> bool:
        return self._clock() - upload.since > self.limits.kept_seconds

    def _expire(self, upload: Upload) -> None:
        upload.expired = True
        self._size -= upload.size
        with contextlib.suppress(OSError):  # gone already, or its folder has another file
            upload.path.unlink()
            upload.path.parent.rmdir()
