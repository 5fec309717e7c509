"""What the agent's channel decodes of a message: nothing."""

from __future__ import annotations

from typing import Any

import faust

from streamer.records import FetchedBatch


class FetchedBatches(faust.Schema[None, list[FetchedBatch]]):
    """Passes the batches of a fetch on as they are: decoding is the pipeline's step 2, not Faust's."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """Return None: a fetch has no key of its own."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> list[FetchedBatch]:  # noqa: ARG002 - as Faust calls it
        """Return the batches."""
        batches: list[FetchedBatch] = message.value
        return batches
