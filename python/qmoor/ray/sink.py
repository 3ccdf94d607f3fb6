"""Writing a dataset.

Ray runs a write task again when its worker dies, as often as it takes, and an old attempt may still be under way
meanwhile. Therefore ids are the same each time, nothing newer is ever overwritten, and what is stale is removed only
when everything that replaces it has been acknowledged.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa
from ray.data import Dataset
from ray.data.block import Block, BlockAccessor
from ray.data.datasource import Datasink

from ..errors import BackupFailed, BadInput, QmoorError
from ..node import Node
from ..report import WriteReport
from ..schema import PointSchema, WriteOptions
from ..target import Target
from .generation import check_announced, new_generation, writer

__all__ = ["QdrantDatasink", "write_qdrant"]

_BACKUP_KEYS = frozenset({"batch_id", "labels", "mode", "url", "key", "timeout_s"})


class QdrantDatasink(Datasink[WriteReport]):
    """What :func:`write_qdrant` gives to ``Dataset.write_datasink``. ``report`` is there when the write has ended.

    Its arguments are those of :func:`write_qdrant`. It pickles as configuration: no key, no connection.
    """

    def __init__(
        self,
        target: Target,
        schema: PointSchema,
        *,
        generation: int | None = None,
        cleanup: Literal["scoped", "full"] | None = None,
        expect_rows: int | None = None,
        backup: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
    ) -> None:
        super().__init__()
        if cleanup not in (None, "scoped", "full"):
            raise BadInput(f"cleanup `{cleanup}` is neither `scoped` nor `full`")
        if cleanup is not None and schema.doc is None:
            raise BadInput("`cleanup` needs `doc` in the schema: it removes what documents no longer have")
        if backup is not None and (unknown := set(backup) - _BACKUP_KEYS):
            raise BadInput(f"backup: {sorted(unknown)} not known; known are {sorted(_BACKUP_KEYS)}")
        self._target = target
        self._schema = schema
        self._generation = new_generation(target) if generation is None else generation
        self._cleanup = cleanup
        self._expect_rows = expect_rows
        self._backup = None if backup is None else dict(backup)
        self._options = options or WriteOptions()
        self.report: WriteReport | None = None
        check_announced(target, self._generation)

    def _writer(self) -> Any:
        scoped: Literal["scoped"] | None = "scoped" if self._cleanup == "scoped" else None
        return writer(self._target, self._schema, self._options, self._generation, scoped)

    def get_name(self) -> str:
        """As Ray's progress bar shows it."""
        return "Qdrant"

    @property
    def min_rows_per_write(self) -> int:
        """Small blocks are written together: a few full requests a task."""
        return 4 * self._options.batch_points

    def on_write_start(self, schema: Any = None) -> None:
        """On the driver, before any task: is the collection there, does it fit, may the key write?

        Ray's ``schema`` is often not that of the rows that are written, so it is not looked at.
        """
        del schema
        writer = self._writer()
        writer.check()
        writer.check_key()

    def write(self, blocks: Iterable[Block], ctx: Any) -> WriteReport:
        """In a task: writes its blocks and waits until the node has them."""
        del ctx
        tables = [table for block in blocks if (table := BlockAccessor.for_block(block).to_arrow()).num_rows]
        if not tables:
            return WriteReport(generation=self._generation)
        report: WriteReport = self._writer().write(pa.concat_tables(tables, promote_options="permissive"))
        return report

    def on_write_complete(self, write_result: Any) -> None:
        """On the driver, when every row is acknowledged: removes what is stale, and backs the node up."""
        report = sum(write_result.write_returns, WriteReport(generation=self._generation))
        self.report = report
        report = self._tidy(report)
        self.report = report = replace(report, open_documents=())
        if self._backup is not None:
            self.report = replace(report, backup=self._back_up(report))

    def on_write_failed(self, error: Exception) -> None:
        """Nothing: what was written stays, nothing is removed, and running the job again completes it."""

    def _tidy(self, report: WriteReport) -> WriteReport:
        if self._expect_rows is not None and report.rows_in != self._expect_rows:
            raise BadInput(
                f"{report.rows_in} rows were written and {self._expect_rows} expected: nothing stale was removed, "
                "no backup was made",
                report=report.to_dict(),
            )
        if self._cleanup is None:
            return report
        reason = self._why_not(report)
        if reason is not None:
            warnings.warn(f"nothing stale was removed: {reason}", stacklevel=2)
            return replace(report, cleanup_left=reason)
        writer = self._writer()
        if self._cleanup == "full":
            deleted = writer.delete_older()
        elif self._schema.chunk_count is not None:
            counts: dict[str, int] = {}
            for doc, count in report.open_documents:
                counts[doc] = max(counts.get(doc, 0), count or 0)
            deleted = writer.delete_tails(counts.items())
        else:
            deleted = writer.delete_older_of({doc for doc, _ in report.open_documents})
        return replace(report, stale_deleted=report.stale_deleted + deleted)

    def _why_not(self, report: WriteReport) -> str | None:
        if report.bad_rows:
            return f"{report.bad_rows} rows were set aside, and what they would have replaced is not known"
        if report.points_pending:
            return f"{report.points_pending} points are accepted and not known to be applied (durability `wal`)"
        if self._cleanup == "full" and not report.rows_in and self._writer().newest_generation() != self._generation:
            return "no row was written, and a full cleanup would remove every document"
        return None

    def _back_up(self, report: WriteReport) -> dict[str, Any]:
        asked = dict(self._backup or {})
        url, key = asked.pop("url", self._target.url), asked.pop("key", self._target.key)
        try:
            return Node(url, key, tls_ca=self._target.tls_ca).backup(**asked)
        except QmoorError as error:
            raise BackupFailed(
                f"all points are written and tidied, only the backup is missing: {error.message}",
                hint=f"run the job again (it changes nothing), or only Node({url!r}, …).backup(batch_id="
                f"{asked.get('batch_id')!r})",
                report=report.to_dict(),
            ) from error


def write_qdrant(
    ds: Dataset,
    target: Target,
    schema: PointSchema,
    *,
    generation: int | None = None,
    cleanup: Literal["scoped", "full"] | None = None,
    expect_rows: int | None = None,
    backup: Mapping[str, Any] | None = None,
    options: WriteOptions | None = None,
    concurrency: int | None = None,
    ray_remote_args: dict[str, Any] | None = None,
) -> WriteReport:
    """Writes a dataset into a collection. Running it again, after a failure too, leads to the same points.

    Args:
        ds: the dataset; one row is one point.
        target: the collection, which must exist: see :func:`qmoor.ensure_collection`.
        schema: what the columns mean.
        generation: the number of this run; a new one unless given. What :func:`drop_unchanged` was given.
        cleanup: ``scoped`` removes what the documents in ``ds`` no longer have. ``full`` removes everything with a
            document that this run did not write, or :func:`drop_unchanged` did not keep: only if ``ds`` is all.
        expect_rows: how many rows there must have been, before anything is removed or backed up.
        backup: back the node up at the end: ``batch_id``, ``labels``, ``mode``, ``timeout_s``, and ``url`` and ``key``
            if they are not the target's.
        options: how it is written.
        concurrency: how many write tasks at a time.
        ray_remote_args: for the write tasks.

    Returns:
        What was done, summed over tasks.

    Raises:
        QmoorError: as its name says. What was written stays; nothing that is still valid is removed.
    """
    sink = QdrantDatasink(
        target,
        schema,
        generation=generation,
        cleanup=cleanup,
        expect_rows=expect_rows,
        backup=backup,
        options=options,
    )
    try:
        ds.write_datasink(sink, concurrency=concurrency, ray_remote_args=ray_remote_args)
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise cause from None
    return sink.report or WriteReport(generation=sink._generation)


def _cause(error: BaseException | None) -> QmoorError | None:
    """The error of ours inside what Ray has wrapped around it."""
    for _ in range(16):
        if error is None or isinstance(error, QmoorError):
            break
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
    return error if isinstance(error, QmoorError) else None
