"""`foreclick worker`, with a transport that misses every other fetch, but for those with a record of "last".

python -m tests.streamer.missing_worker worker [options of foreclick worker]
"""

from __future__ import annotations

from itertools import count
from typing import Any

from faust.types import TP

from foreclick.cli import main
from streamer.records import FetchedBatch
from streamer.transport import BatchConsumerThread

_fetches = count()
_fetch_records = BatchConsumerThread._fetch_records


async def _miss_some(thread: BatchConsumerThread, *args: Any, **kwargs: Any) -> dict[TP, list[FetchedBatch]]:
    fetched = await _fetch_records(thread, *args, **kwargs)
    records = [record for batches in fetched.values() for batch in batches for record in batch.records]
    last = any(b'"last"' in (record.value or b"") for record in records)
    return {} if records and not last and next(_fetches) % 2 else fetched


if __name__ == "__main__":
    setattr(BatchConsumerThread, "_fetch_records", _miss_some)  # noqa: B010
    main()
