"""Header names that are not UTF-8: no client writes them, so a batch is made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streamer.transport_headers import AnyHeaderRecords


def fetched(compression_type: int, names: list[str]) -> bytes:
    """Return a fetched batch with a record for each of ``names``, each the name of its one header."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression_type,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=100_000,
    )
    for number, name in enumerate(names):
        headers = [(name, b"\xfe"), ("ok", None)]
        builder.append(number, timestamp=1_000 + number, key=None, value=b"v%d" % number, headers=headers)
    return bytes(builder.build())


def with_wrong_bytes(batch: bytes) -> bytes:
    """Return ``batch`` with each name ``????`` made one that is not UTF-8."""
    return batch.replace(b"????", b"\xff\xfea\xc3")


def told(batch: Any) -> list[tuple[Any, ...]]:
    return [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in batch]


def read(batches: bytes) -> list[tuple[Any, ...]]:
    records, found = AnyHeaderRecords(batches), []
    while records.has_next():
        found += told(records.next_batch())
    return found


def test_a_name_that_is_not_utf_8_is_escaped_and_all_else_is_as_it_was() -> None:
    batch = with_wrong_bytes(fetched(0, ["fine", "????", "last"]))
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(batch).next_batch())
    assert read(batch) == [
        (0, 1_000, None, b"v0", [("fine", b"\xfe"), ("ok", None)]),
        (1, 1_001, None, b"v1", [("\\xff\\xfea\\xc3", b"\xfe"), ("ok", None)]),
        (2, 1_002, None, b"v2", [("last", b"\xfe"), ("ok", None)]),
    ]


@pytest.mark.parametrize("compression_type", [0, 1])
def test_records_of_any_batch_are_those_that_aiokafka_reads(compression_type: int) -> None:
    batch = fetched(compression_type, ["fine", "größe"])
    records = MemoryRecords(batch).next_batch()
    assert read(batch + batch) == told(records) * 2
    own = AnyHeaderRecords(batch).next_batch()
    assert own.validate_crc()
    assert (own.next_offset, own.is_control_batch) == (2, False)
