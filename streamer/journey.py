"""One batch of a partition on its way through the steps, beside the others of its fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamer.decoding import decode_batch
from streamer.history import Piece
from streamer.memory import Slot
from streamer.partitions import Partition, Stages
from streamer.records import DecodedBatch
from streamer.scoring import ScoredBatch
from streamer.window_store import Question, Write


@dataclass(eq=False)
class Journey:
    """A batch, and what the steps have made of it so far.

    ``before`` are the stages of the batch before it in its partition. ``missing`` are the users whose states
    this batch reads, into its ``slots``. ``done`` is called behind its write.
    """

    partition: Partition
    piece: Piece
    before: Stages
    done: Callable[[], None]
    decoded: DecodedBatch = field(init=False)
    slots: Mapping[bytes, Slot] = field(init=False)
    missing: list[bytes] = field(init=False)
    scored: ScoredBatch = field(init=False)

    def decode(self) -> None:
        """Step 2."""
        self.decoded = decode_batch(self.piece.batch, self.partition.source)

    def claim(self) -> Question:
        """Claim the slots of the batch's users; return what must be read. Batches claim in order."""
        users = dict.fromkeys(user for user, _, _ in self.decoded.events)
        self.slots, self.missing = self.partition.memory.claim(users)
        return Question(self.partition.source, self.missing)

    def expected(self) -> set[int | None]:
        """Return the offsets at which Redis may stand when the batch's states are read."""
        return self.partition.boundaries(self.decoded.next_offset)

    def write(self) -> Write:
        """Return step 7. The batch before must be written."""
        scored, partition = self.scored, self.partition
        return Write(partition.source, partition.written, scored.next_offset, scored.states)

    def end(self) -> None:
        """Note that the batch is written."""
        self.partition.confirm(self.scored.next_offset)
        self.partition.memory.release(self.slots)
        self.done()

    def partial_predictions(self) -> int:
        """Return how many predictions are of users whose history is not whole."""
        if not self.partition.plan.history.cut:
            return 0
        return sum(self.slots[user].partial for user in self.scored.predictions.keys)
