"""What truly followed the events of a part: the next action, a purchase in the session, the next item."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from model_store.parts import part_between, time_at_share
from model_store.sequences import MASKED, labels_of
from model_store.specification import ACTION_NAMES, NO_FURTHER_ACTION
from model_store.windows import SESSION_GAP_MS, row_items, starts_session
from producers.events import EventType

if TYPE_CHECKING:
    from model_store.parts import Part
    from model_store.sequences import EventTable, Ints

Flags = npt.NDArray[np.bool_]

PURCHASE: Final = ACTION_NAMES.index(EventType.PURCHASE.value)
BROWSES: Final = tuple(ACTION_NAMES.index(each.value) for each in (EventType.VIEW, EventType.SEARCH))
NONE: Final = ACTION_NAMES.index(NO_FURTHER_ACTION)
_PARTS_OF_THE_SHORTEST: Final = 4


class EvaluationParts(NamedTuple):
    """A log in three: what is learned, what decisions and calibrations are fitted on, what is measured.

    ``known`` is the first two together. ``settling_ms`` is how long after an event nothing may come until
    the session counts as over.
    """

    training: Part
    validation: Part
    test: Part
    known: Part
    settling_ms: int


def evaluation_parts(
    table: EventTable, *, train_until: float, test_from: float, timed: bool
) -> EvaluationParts:
    """Return the parts of ``table``, by shares of its time, or of its users where it has no real times.

    The settling time is the session gap, or a quarter of the shorter of validation and test where those are
    short: what followed the last events of a part is not known, and a log of hours would have no other.
    Raises `TrainingError` when the log holds no event.
    """
    shortest_ms = 0
    if timed:
        ends_ms = [time_at_share(table.times_ms, share) for share in (train_until, test_from, 1.0)]
        shortest_ms = min((int(length) for length in np.diff(ends_ms) if length > 0), default=0)
    return EvaluationParts(
        part_between(table, 0.0, train_until, timed=timed),
        part_between(table, train_until, test_from, timed=timed),
        part_between(table, test_from, 1.0, timed=timed),
        part_between(table, 0.0, test_from, timed=timed),
        min(SESSION_GAP_MS, max(shortest_ms // _PARTS_OF_THE_SHORTEST, 1)) if timed else SESSION_GAP_MS,
    )


@dataclass(frozen=True)
class Truth:
    """The events of a part of which it is known what followed [R], in order of user, then of time.

    ``event`` are their places in the part's table, ``user`` the users' numbers there. ``next_action`` is an
    index of `ACTION_NAMES`; ``bought`` says whether a purchase came later in the session, and counts only
    where ``session_known``; ``next_item`` is 0 where there was none.
    """

    event: Ints
    user: Ints
    next_action: Ints
    bought: Flags
    session_known: Flags
    next_item: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.event)

    def where(self, kept: Flags | Ints) -> Self:
        """Return the rows in ``kept``."""
        return type(self)(*(getattr(self, field.name)[kept] for field in fields(self)))

    @property
    def next_browse(self) -> Flags:
        """Whether the next action is a view or a search [R]."""
        return np.isin(self.next_action, BROWSES)


def truth_of(part: Part, settling_ms: int) -> Truth:
    """Return what followed the scored events of ``part`` that ended ``settling_ms`` before its end.

    An event after more than that is not counted as following, unless ``settling_ms`` is the whole
    `SESSION_GAP_MS`: then the session rule alone decides. What a session held is known if its last event
    lies as long before the end.
    """
    table = part.table
    labels = labels_of(table, None)
    followed = labels.next_event != MASKED
    if settling_ms < SESSION_GAP_MS:
        followed &= labels.gap_ms <= settling_ms
    session: Ints = np.cumsum(table.starts_user() | starts_session(table.rows, np.roll(table.rows, 1)))
    settled, session_known = np.ones(len(table), bool), np.ones(len(table), bool)
    if part.until_ms is not None:
        settled = table.times_ms + settling_ms <= part.until_ms
        session_known = np.isin(session, session[~settled], invert=True)
    following = np.where(followed, labels.next_event, 0)
    next_item = np.where(followed, row_items(table.rows)[following], 0) if len(table) else np.empty(0)
    truth = Truth(
        event=np.arange(len(table)),
        user=table.user,
        next_action=np.where(followed, labels.next_action, NONE),
        bought=_bought_later(table, session),
        session_known=session_known,
        next_item=next_item.astype(np.uint64),
    )
    return truth.where(part.scored & settled)


def _bought_later(table: EventTable, session: Ints) -> Flags:
    """Tell after which events [E] a purchase comes in the same session."""
    purchases = np.cumsum(table.rows["event_type"] == PURCHASE)
    last = np.searchsorted(session, session, side="right") - 1
    later: Flags = purchases[last] > purchases
    return later
