"""Step 3's memory: the states of users whose events are in flight.

A state that an earlier batch changed but has not yet written is taken from here, never from Redis.
"""

from __future__ import annotations

from collections.abc import Iterable


class Slot:
    """One user's place in memory.

    ``record`` is what Redis keeps of a user (`streamer.state`), or will keep once the batches in flight are
    written. It is None for a user without events, and until the read that was promised has brought it.
    ``partial`` tells whose history is known not to be whole.
    """

    __slots__ = ("claims", "partial", "record")

    def __init__(self) -> None:
        self.claims = 0
        self.partial = False
        self.record: bytes | None = None


class PartitionMemory:
    """The slots of one partition. A slot lives while any batch in flight claims its user."""

    def __init__(self) -> None:
        self._slots: dict[bytes, Slot] = {}

    def claim(self, users: Iterable[bytes]) -> tuple[dict[bytes, Slot], list[bytes]]:
        """Return the users' slots, and the users whose state the caller must now read into its slot.

        Each user may stand once in ``users``. Batches claim in order; a user that an earlier batch is
        about to read is not read again.
        """
        claimed: dict[bytes, Slot] = {}
        missing: list[bytes] = []
        for user in users:
            slot = self._slots.get(user)
            if slot is None:
                slot = self._slots[user] = Slot()
                missing.append(user)
            slot.claims += 1
            claimed[user] = slot
        return claimed, missing

    def release(self, users: Iterable[bytes]) -> None:
        """Give back one claim on each of ``users``; states that nobody claims are forgotten."""
        for user in users:
            slot = self._slots[user]
            slot.claims -= 1
            if not slot.claims:
                del self._slots[user]

    def __len__(self) -> int:
        return len(self._slots)
