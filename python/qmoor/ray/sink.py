"""Writing a dataset.

Ray runs a write task again when its worker dies, as often as it takes, and an old attempt may still be under way
meanwhile. Therefore ids are the same each time, nothing newer is ever overwritten, and what is stale is removed only
when everything that replaces it has been acknowledged.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa
from ray.data import Dataset
from ray.data.block import Block, BlockAccessor
from ray.data.dataset import MaterializedDataset
from ray.data.datasource import Datasink
from ray.exceptions import RayTaskError

from ..errors import BackupFailed, BadInput, QmoorError
from ..node import Node
from ..report import WriteReport
from ..schema import PointSchema, WriteOptions
from ..target import Target
from ..writer import Writer
from .generation import announced, check_same, new_generation, settle, writer
from .unchanged import marked

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
        options = options or WriteOptions()
        if cleanup not in (None, "scoped", "full"):
            raise BadInput(f"cleanup `{cleanup}` is neither `scoped` nor `full`")
        if cleanup is not None and schema.doc is None:
            raise BadInput("`cleanup` needs `doc` in the schema: it removes what documents no longer have")
        if cleanup is not None and options.durability != "applied":
            raise BadInput("`cleanup` needs durability `applied`: what replaces the removed must be known to be there")
        if backup is not None and (unknown := set(backup) - _BACKUP_KEYS):
            raise BadInput(f"backup: {sorted(unknown)} not known; known are {sorted(_BACKUP_KEYS)}")
        self._target = target
        self._schema = schema
        self._generation = new_generation(target) if generation is None else generation
        self._cleanup = cleanup
        self._expect_rows = expect_rows
        self._backup = None if backup is None else dict(backup)
        self._options = options
        self.report: WriteReport | None = None

    def _writer(self) -> Writer:
        scoped: Literal["scoped"] | None = "scoped" if self._cleanup == "scoped" else None
        return writer(self._target, self._schema, self._options, self._generation, scoped)

    def get_name(self) -> str:
        """As Ray's progress bar shows it."""
        return "Qdrant"

    @property
    def min_rows_per_write(self) -> int:
        """Small blocks are written together: a few full requests a task."""
        return 4 * self._options.batch_points

    def check(self, schema: pa.Schema | None = None) -> None:
        """Refuses what cannot end well: is the collection there, does it fit, may the key write?

        Args:
            schema: the columns of the rows to be written, if they are known for certain.
        """
        writer = self._writer()
        marks = announced(self._target)
        if marks is not None and self._cleanup is not None:
            check_same(self._target, marks, self._generation)
            if self._cleanup == "scoped" and self._schema.chunk_count is None:
                raise BadInput(
                    "after drop_unchanged, cleanup `scoped` needs `chunk_count` in the schema: without it a document "
                    "that only became shorter goes unnoticed",
                    hint="give the column with each document's number of chunks, or use cleanup `full`",
                )
        writer.check(schema)
        writer.check_key()

    def on_write_start(self, schema: Any = None) -> None:
        """On the driver, before the first write task.

        Ray's ``schema`` is often not that of the rows that are written, so it is not looked at.
        """
        del schema
        self.check()

    def write(self, blocks: Iterable[Block], ctx: Any) -> WriteReport:
        """In a task: writes its blocks and waits until the node has them."""
        del ctx
        # Ray holds all blocks of a task until it ends, whoever reads them. Read here, in the task's own thread, they
        # come at no cost, and what an earlier stage raises comes through as it is.
        tables = [table for block in blocks if (table := BlockAccessor.for_block(block).to_arrow()).num_rows]
        if not tables:
            return WriteReport(generation=self._generation)
        try:
            rows = pa.concat_tables(tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise BadInput(f"the blocks of one dataset have columns of different types: {error}") from None
        return self._writer().write(rows)

    def on_write_complete(self, write_result: Any) -> None:
        """On the driver, when every row is acknowledged: removes what is stale, and backs the node up."""
        reports: list[WriteReport] = [report for report in write_result.write_returns if report is not None]
        documents = list(itertools.chain.from_iterable(report.open_documents for report in reports))
        reports = [replace(report, open_documents=()) for report in reports]
        self.report = report = sum(reports, WriteReport(generation=self._generation))
        if self._expect_rows not in (None, report.rows_in):
            raise BadInput(
                f"{report.rows_in} rows were written and {self._expect_rows} expected: nothing stale was removed, "
                "no backup was made",
                report=report.to_dict(),
            )
        if self._cleanup is not None:
            self.report = report = self._tidied(report, documents)
        if report.cleanup_left is None:
            settle(self._target, self._generation)
        if self._backup is not None:
            self.report = replace(report, backup=self._back_up(report))

    def on_write_failed(self, error: Exception) -> None:
        """Nothing: what was written stays, nothing is removed, and running the job again completes it."""

    def _tidied(self, report: WriteReport, documents: list[tuple[str, int | None]]) -> WriteReport:
        try:
            reason = self._why_not(report)
            if reason is None:
                report = replace(report, stale_deleted=report.stale_deleted + self._remove_stale(documents))
        except QmoorError as error:
            error.message = f"all rows are written, and removing what is stale failed: {error.message}"
            error.report = report.to_dict()
            raise
        if reason is None:
            return report
        warnings.warn(f"nothing stale was removed: {reason}", stacklevel=2)
        return replace(report, cleanup_left=reason)

    def _remove_stale(self, documents: list[tuple[str, int | None]]) -> int:
        writer = self._writer()
        if self._cleanup == "full":
            return writer.delete_older()
        if self._schema.chunk_count is None:
            return writer.delete_older_of({doc for doc, _ in documents})
        # Should tasks disagree on the number of chunks, the larger one removes less.
        counts: dict[str, int] = {}
        for doc, count in documents:
            counts[doc] = max(counts.get(doc, 0), count or 0)
        return writer.delete_tails(counts.items())

    def _why_not(self, report: WriteReport) -> str | None:
        """Why what is stale must stay. The chunks beyond a document's end may go in any case."""
        is_by_count = self._cleanup == "scoped" and self._schema.chunk_count is not None
        if report.bad_rows and not is_by_count:
            return f"{report.bad_rows} rows were set aside, and what they would have replaced is not known"
        nothing = self._cleanup == "full" and report.rows_in == 0 and self._expect_rows is None
        if nothing and self._writer().newest_generation() != self._generation:
            return "no row was written, so everything would be removed (`expect_rows=0` if that is meant)"
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
    marks = marked(ds, target)
    if generation is None and len(marks) == 1:
        (generation,) = marks
    sink = QdrantDatasink(
        target,
        schema,
        generation=generation,
        cleanup=cleanup,
        expect_rows=expect_rows,
        backup=backup,
        options=options,
    )
    if cleanup is not None:
        for mark in marks:
            check_same(target, mark, sink._generation)
    # Here already, and not only in on_write_start, which Ray calls when the stages before the write have run.
    sink.check(_columns(ds))
    try:
        ds.write_datasink(sink, concurrency=concurrency, ray_remote_args=ray_remote_args)
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise cause from None
    return sink.report or WriteReport(generation=sink._generation)


def _columns(ds: Dataset) -> pa.Schema | None:
    """The columns of a dataset, where they are known without running it; of one without rows they mean nothing."""
    if isinstance(ds, MaterializedDataset) and ds.count() == 0:
        return None
    known = ds.schema(fetch_if_missing=False)
    columns = None if known is None else known.base_schema
    return columns if isinstance(columns, pa.Schema) else None


def _cause(error: BaseException | None) -> QmoorError | None:
    """The error of ours inside what Ray has wrapped around it."""
    for _ in range(16):
        # Ray's wrapper is of our class too, and holds ours.
        if isinstance(error, RayTaskError):
            error = error.cause
        elif error is None or isinstance(error, QmoorError):
            break
        else:
            error = error.__cause__ or error.__context__
    return error if isinstance(error, QmoorError) else None
