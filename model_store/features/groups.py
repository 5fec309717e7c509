"""The groups of features, which are switched on or off as a whole, and those that are on by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


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
    Group("counts", "behaviour", "how many events of each type came before"),
    Group("gap", "time", "the time since the event before"),
    Group("calendar", "time", "the hour and the weekday, UTC"),
    Group("session", "time", "the place in the session and the time since it began"),
    Group("context", "context", "the device and the source"),
)
GROUP_NAMES: Final = tuple(group.name for group in GROUPS)
DEFAULT_GROUPS: Final = ("previous", "price", "gap", "calendar")
