"""Which events of a log a replay publishes: those of a time span and of some users."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.errors import LogError
from producers.events import Event


@dataclass(frozen=True)
class Selection:
    """Events from ``from_ms`` on and before ``to_ms`` (Unix milliseconds), of ``users``; None is no limit."""

    from_ms: int | None = None
    to_ms: int | None = None
    users: frozenset[str] | None = None

    def in_span(self, event: Event) -> bool:
        """Say whether the event's time is in the span."""
        time_ms = event.event_time_ms
        return (self.from_ms is None or time_ms >= self.from_ms) and (
            self.to_ms is None or time_ms < self.to_ms
        )

    def has_user(self, event: Event) -> bool:
        """Say whether the event is of a chosen user."""
        return self.users is None or event.user_id in self.users


EVERYTHING: Final = Selection()


class UserSample:
    """A sample of ``size`` users, the same for the same users and seed, in memory for that many alone.

    Kept are the users whose hashes are the smallest (bottom-k sampling), so each user is as likely as any.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._seed = seed.to_bytes(8, "little", signed=True)
        self._kept: dict[str, int] = {}
        self._largest: list[tuple[int, str]] = []  # a heap of (-hash, user)

    def add(self, user_id: str) -> None:
        """Consider one event's user."""
        if user_id in self._kept:
            return
        digest = hashlib.blake2b(user_id.encode(), digest_size=8, key=self._seed).digest()
        place = int.from_bytes(digest, "little")
        if len(self._kept) == self._size:
            if place >= -self._largest[0][0]:
                return
            _, dropped = heapq.heappop(self._largest)
            del self._kept[dropped]
        self._kept[user_id] = place
        heapq.heappush(self._largest, (-place, user_id))

    @property
    def users(self) -> frozenset[str]:
        """The users chosen so far."""
        return frozenset(self._kept)


def users_in(path: Path) -> frozenset[str]:
    """Read a list of user ids, one a line. Raises `LogError` where it cannot be read or has none."""
    try:
        users = frozenset(path.read_text(encoding="utf-8").split("\n")) - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(
            f"cannot read the list of users {path}: {error}; give a text file, one id a line"
        ) from error
    if not users:
        raise LogError(f"the list of users {path} is empty; write one user id a line")
    return users
