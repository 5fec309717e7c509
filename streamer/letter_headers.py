"""The headers that a dead letter has beside its record's own. Where a name stands twice, the last one counts.

The earlier ones are the history of a record that was put back and failed again.
"""

from __future__ import annotations

from typing import Final

REASON_HEADER: Final = "foreclick.reason"
DETAIL_HEADER: Final = "foreclick.detail"
SOURCE_HEADER: Final = "foreclick.source"
TIMESTAMP_HEADER: Final = "foreclick.timestamp-ms"
REPLAYS_HEADER: Final = "foreclick.replays"
