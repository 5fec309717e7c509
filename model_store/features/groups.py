"""The groups of features, which are switched on or off as a whole, and those that are on by default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from model_store.errors import TrainingError


@dataclass(frozen=True)
class Group:
    """Features that are switched together. ``kind`` is behaviour, time or context."""

    name: str
    kind: str
    meaning: str


GROUPS: Final = (
    Group("previous", "behaviour", "the event against the one before it"),
    Group("price", "behaviour", "the price"),
    Group("category_price", "behaviour", "the price against its category's"),
    Group("repeats", "behaviour", "how often and when the item and the category were there before"),
    Group("counts", "behaviour", "how many events of each type came before, the cart, looks in a row"),
    Group("gap", "time", "the time since the event before"),
    Group("calendar", "time", "the hour and the weekday, UTC"),
    Group("session", "time", "the place in the session, its types so far, and the time since it began"),
    Group("recent", "time", "the types of the two events before, the gaps before them, when each type came"),
    Group("context", "context", "the device and the source"),
)
GROUP_NAMES: Final = tuple(group.name for group in GROUPS)
DEFAULT_GROUPS: Final[tuple[str, ...]] = ("previous", "price", "counts", "gap", "calendar", "session")
# Of a network's companion, which keeps no state from which it could know what came before.
COMPANION_GROUPS: Final = (*DEFAULT_GROUPS, "repeats", "recent")


def checked_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return ``names``. Raises `TrainingError` when one is no group's."""
    groups = tuple(names)
    unknown = [name for name in groups if name not in GROUP_NAMES]
    if unknown:
        raise TrainingError(
            f"there is no group of features {unknown[0]!r}; choose from {', '.join(GROUP_NAMES)}"
        )
    return groups
