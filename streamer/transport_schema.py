"""What the agent's channel decodes of a message: nothing."""

from __future__ import annotations

from typing import Any

import faust

from streamer.records import FetchedBatch


class FetchedBatches(faust.Schema[None, FetchedBatch]):
    """Passes a `FetchedBatch` on as it is: decoding is the pipeline's step 2, not Faust's."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """Return None: a batch has no key of its own."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> FetchedBatch:  # noqa: ARG002 - as Faust calls it
        """Return the batch."""
        batch: FetchedBatch = message.value
        return batch
