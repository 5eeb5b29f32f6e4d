"""One worker of a batch: the model, loaded once, and shard after shard through it."""

from __future__ import annotations

import io
import json
import os
from typing import Any

from fsspec.core import url_to_fs

from pointrend.batch.plan import BatchConfig, Shard, put
from pointrend.errors import RequestError
from pointrend.images.decode import check_bytes, decode
from pointrend.images.limits import ImageLimits
from pointrend.inference.loading import load
from pointrend.structures.options import Options
from pointrend.system.memory import MemoryLimit

Row = dict[str, Any]


class Worker:
    """Segments shards; made once in each process, and called by Ray with one shard a batch.

    Args:
        settings: of the batch.
        output: the folder of its results.
        threads: CPU threads of the model.
    """

    def __init__(self, settings: BatchConfig, output: str, threads: int) -> None:
        self._settings = settings
        self._output = output
        self._options = Options.parse(settings.options)
        self._segment = load(settings.model, threads=threads, engine=settings.engine)
        self._memory = MemoryLimit()
        self._files, self._folder = url_to_fs(settings.input)

    def __call__(self, batch: Row) -> Row:
        """Do one shard, as Ray hands it over: columns of one row each; answer how many images it had and failed on.

        A part that cannot be written is told in ``error``: the shard is left for the next run, and the others go on.
        """
        shard = Shard(int(batch["number"][0]), tuple(json.loads(batch["images"][0])))
        try:
            done, failed, error = *self.do(shard), ""
        except OSError as problem:
            done, failed, error = 0, len(shard.images), f"Part {shard.number} cannot be written: {problem}"
        return {"number": [shard.number], "done": [done], "failed": [failed], "error": [error]}

    def do(self, shard: Shard) -> tuple[int, int]:
        """Segment a shard's images and write its part; counts of images done and failed."""
        rows, failures = [], []
        for image in shard.images:
            try:
                rows.append(self._row(image))
            except RequestError as error:
                failures.append({"file_name": image, **error.to_dict()["error"]})
            except OSError as error:
                failures.append({"file_name": image, "code": "unreadable_photo", "message": str(error)})
            except Exception as error:  # one image in millions must not end the batch; it is told by name
                failures.append({"file_name": image, "code": "internal_error", "message": repr(error)})
            self._memory.settle()
        if failures:
            put(self._output, shard.failures, _lines(failures))
        else:
            self._discard(shard.failures)
        form = self._settings.form
        put(self._output, shard.part(form), _parquet(rows) if form == "parquet" else _lines(rows))
        return len(rows), len(failures)

    def _discard(self, name: str) -> None:
        """Remove what an attempt at the shard left that was cut off, and that had failures which this one has not."""
        files, folder = url_to_fs(self._output)
        if files.exists(f"{folder}/{name}"):
            files.rm_file(f"{folder}/{name}")

    def _row(self, image: str) -> Row:
        path, limits = f"{self._folder}/{image}", ImageLimits()
        check_bytes(self._files.size(path), limits)
        found = self._segment(decode(self._files.cat_file(path), limits), self._options).to_dict()
        kept = {key: value for key, value in found.items() if key in ("instances", "segments")}
        return {"file_name": image, **found["image"], **kept}


def _lines(rows: list[Row]) -> bytes:
    # In ASCII: names with separators of lines stay on their line, and those that are no UTF-8 can be written at all.
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(rows: list[Row]) -> bytes:
    """A Parquet file with one row an image and the fields of COCO's results in its column ``instances``."""
    import pyarrow as pa  # the extra batch; JSON lines need none
    import pyarrow.parquet as pq

    mask = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
    what = [("category_id", pa.int32()), ("category", pa.string()), ("area", pa.int64()), ("segmentation", mask)]
    numbers = [(name, pa.float64()) for name in ("score", "mask_score", "edge_uncertainty")]
    instance = pa.struct([*what, *numbers, ("grid", pa.int32()), ("bbox", pa.list_(pa.float64()))])
    column = "segments" if rows and "segments" in rows[0] else "instances"
    kind = pa.struct(what) if column == "segments" else instance
    schema = pa.schema(
        [("file_name", pa.string()), ("width", pa.int32()), ("height", pa.int32()), (column, pa.list_(kind))]
    )
    file = io.BytesIO()
    named = [{**row, "file_name": _in_utf8(row["file_name"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(named, schema=schema), file, compression="zstd")
    return file.getvalue()


def _in_utf8(name: str) -> str:
    r"""A name as Parquet holds it: bytes that are no UTF-8 are spelled out, as ``\xe9``."""
    return os.fsencode(name).decode(errors="backslashreplace")
