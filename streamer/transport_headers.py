r"""Fetched records whose header names are not UTF-8, on which aiokafka's reader stops for good.

The protocol says that names are UTF-8, and no broker holds a producer to it. Such a name comes with its wrong
bytes escaped (``\xff``); the record's key, value and header values are as they were sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, SupportsIndex

import aiokafka.consumer.fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


def read_any_header_names() -> None:
    """Let this process' consumers go on behind a header name that is not UTF-8."""
    aiokafka.consumer.fetcher.MemoryRecords = AnyHeaderRecords


class AnyHeaderRecords(_MemoryRecordsPy):  # type: ignore[misc]  # aiokafka has no types
    """Cuts what was fetched into batches, whose records are read by aiokafka's C reader where it can."""

    def next_batch(self, *arguments: Any) -> Any:
        """Return the next batch; None behind the last."""
        raw = self._next_slice
        batch = super().next_batch(*arguments)
        return None if batch is None else _Batch(batch, raw)


class _Batch:
    """One batch. All but its records is what aiokafka's own says."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(_escaping(self._raw)))


def _escaping(raw: memoryview) -> Any:
    """Return the batch in ``raw``, read by aiokafka's Python reader, with wrong bytes in names escaped."""
    batch = _DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    batch._buffer = _EscapingBytes(batch._buffer)
    return batch


class _EscapingBytes(bytearray):
    """Bytes whose text is never refused."""

    def __getitem__(self, place: SupportsIndex | slice) -> Any:
        found = super().__getitem__(place)
        return _EscapingBytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:  # noqa: ARG002
        """Return the text, with what is not UTF-8 escaped."""
        return bytes(self).decode(encoding, "backslashreplace")
