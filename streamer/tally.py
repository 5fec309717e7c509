"""Running counts of what became of the records."""

from __future__ import annotations

from collections import Counter

from streamer.scoring import ScoredBatch


class Tally:
    """Counts outcomes: predictions, dead letters by reason, and repeated events."""

    def __init__(self) -> None:
        self.predictions = 0
        self.duplicate_events = 0
        self.partial_predictions = 0
        self.rebuilt_events = 0
        self.dead_letters: Counter[str] = Counter()

    def count(self, batch: ScoredBatch, *, partial: int = 0, silent: bool = False) -> None:
        """Add what became of ``batch``, once it is written; ``partial`` of its predictions say so.

        A ``silent`` batch was published and counted before.
        """
        self.partial_predictions += 0 if silent else partial
        if silent:
            self.rebuilt_events += len(batch.predictions)
            return
        self.predictions += len(batch.predictions)
        self.duplicate_events += batch.duplicate_events
        self.dead_letters.update(letter.reason for letter in batch.dead_letters)
