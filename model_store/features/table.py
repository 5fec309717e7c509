"""Every feature of an event, declared once: its function, which names and explains it, and its group.

A model's artifact names the features that its network reads; the order here is their order in
``Inputs.numeric``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from model_store.errors import FormatTooNewError
from model_store.features import functions, memory
from model_store.features.functions import Out
from model_store.features.groups import COMPANION_GROUPS, checked_groups
from model_store.features.seen import Seen
from model_store.features.statistics import EncoderStatistics
from model_store.lookback import LOOKBACK_EVENTS
from producers.contract import EVENT_TYPES, EventType

# From fewer events a network learns these by heart: on 999 of them the next action's loss grew.
LARGE_LOG_EVENTS: Final = 5_000
LONG_LOG_EVENTS: Final = 50_000  # from here on a companion reads how the session went, and is wider


def _always(_: EncoderStatistics) -> bool:
    return True


def _priced(known: EncoderStatistics) -> bool:
    return known.priced


def _timed(known: EncoderStatistics) -> bool:
    return known.timed


def _with_types(known: EncoderStatistics) -> bool:
    return len(known.event_types) > 1


def _with_carts(known: EncoderStatistics) -> bool:
    return EVENT_TYPES.index(EventType.CART) in known.event_types


def _long(known: EncoderStatistics) -> bool:
    return known.events > LONG_LOG_EVENTS


def _types(known: EncoderStatistics) -> int:
    return len(known.event_types)


def _one(_: EncoderStatistics) -> int:
    return 1


@dataclass(frozen=True)
class Feature:
    """One feature.

    ``compute`` puts its numbers [width] into an array, from an event's row and at most ``reads`` rows before.
    ``usable`` tells whether a training part with such statistics can teach it, and ``width`` how many numbers
    it then has. A network needs ``least_events`` to learn it.
    """

    compute: Callable[[Seen, Out], None]
    group: str
    reads: int = 0
    usable: Callable[[EncoderStatistics], bool] = _always
    width: Callable[[EncoderStatistics], int] = _one
    least_events: int = 0

    @property
    def name(self) -> str:
        """The name under which an artifact lists the feature."""
        return self.compute.__name__

    @property
    def meaning(self) -> str:
        """What the numbers mean, in a sentence."""
        return self.compute.__doc__ or ""


FEATURES: Final = (
    Feature(functions.no_previous, "previous", reads=1),
    Feature(functions.starts_session, "previous", reads=1),
    Feature(functions.same_item_as_previous, "previous", reads=1),
    Feature(functions.log_price, "price", usable=_priced),
    Feature(functions.price_absent, "price", usable=_priced),
    Feature(functions.price_in_category, "category_price", usable=lambda known: bool(known.category_prices)),
    Feature(functions.item_seen, "repeats", reads=LOOKBACK_EVENTS),
    Feature(functions.item_recency, "repeats", reads=LOOKBACK_EVENTS),
    Feature(functions.category_seen, "repeats", reads=LOOKBACK_EVENTS),
    Feature(
        functions.type_counts,
        "counts",
        reads=LOOKBACK_EVENTS,
        usable=_with_types,
        width=_types,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(
        functions.cart_size,
        "counts",
        reads=LOOKBACK_EVENTS,
        usable=_with_carts,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(
        functions.looks_in_a_row,
        "counts",
        reads=LOOKBACK_EVENTS,
        usable=_with_types,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(functions.log_gap, "gap", reads=1, usable=_timed),
    Feature(functions.hour, "calendar", usable=lambda known: known.daily, width=lambda _: 2),
    Feature(functions.weekday, "calendar", usable=lambda known: known.weekly, width=lambda _: 2),
    Feature(functions.session_position, "session", reads=LOOKBACK_EVENTS, least_events=LARGE_LOG_EVENTS),
    Feature(
        functions.session_types,
        "session",
        reads=LOOKBACK_EVENTS,
        usable=_with_types,
        width=_types,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(
        functions.session_time,
        "session",
        reads=LOOKBACK_EVENTS,
        usable=_timed,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(
        functions.device,
        "context",
        usable=lambda known: bool(known.devices),
        width=lambda known: len(known.devices) + 2,
    ),
    Feature(
        functions.source,
        "context",
        usable=lambda known: bool(known.sources),
        width=lambda known: len(known.sources) + 2,
    ),
    Feature(
        functions.last_types,
        "recent",
        reads=2,
        usable=_with_types,
        width=lambda known: 2 * len(known.event_types),
    ),
    Feature(
        functions.type_recency,
        "recent",
        reads=LOOKBACK_EVENTS,
        usable=lambda known: known.timed and _with_types(known),
        width=_types,
    ),
    Feature(functions.last_gaps, "recent", reads=3, usable=_timed, width=lambda _: 2),
    Feature(functions.history_position, "recent", reads=LOOKBACK_EVENTS),
    Feature(
        functions.same_category_as_previous,
        "previous",
        reads=1,
        usable=lambda known: known.categories > 1,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(
        functions.gap_marks,
        "gap",
        reads=1,
        usable=_timed,
        width=lambda _: functions.GAP_MARKS,
        least_events=LARGE_LOG_EVENTS,
    ),
    Feature(
        memory.cart_held,
        "recent",
        reads=LOOKBACK_EVENTS,
        usable=lambda known: _long(known) and _with_carts(known),
    ),
    Feature(
        memory.session_gaps,
        "recent",
        reads=LOOKBACK_EVENTS,
        usable=lambda known: _long(known) and known.timed,
        width=lambda _: memory.SESSION_GAPS,
    ),
    Feature(
        memory.session_looks,
        "recent",
        reads=LOOKBACK_EVENTS,
        usable=lambda known: _long(known) and _with_types(known),
        width=lambda _: memory.SESSION_LOOKS,
    ),
)
_BY_NAME: Final = {feature.name: feature for feature in FEATURES}
CODES: Final = {feature.name: code for code, feature in enumerate(FEATURES)}  # as `dispatch.compute` has them


def features_of(groups: Iterable[str], learned: EncoderStatistics) -> tuple[Feature, ...]:
    """Return the features of ``groups`` that a network can learn from a training part with these statistics.

    Raises `TrainingError` when there is no such group.
    """
    chosen = checked_groups(groups)
    return tuple(
        feature
        for feature in FEATURES
        if feature.group in chosen and feature.usable(learned) and learned.events >= feature.least_events
    )


def companion_features(network: Iterable[Feature], learned: EncoderStatistics) -> tuple[Feature, ...]:
    """Return what the companion of a network that reads the features ``network`` reads beside them.

    It is penalised as the events allow, so it may read those too that a network would learn by heart.
    """
    read = {feature.name for feature in network}
    return tuple(
        feature
        for feature in FEATURES
        if feature.group in COMPANION_GROUPS and feature.usable(learned) and feature.name not in read
    )


def features_named(names: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of these names. Raises `FormatTooNewError` when this release lacks one."""
    if unknown := [name for name in names if name not in _BY_NAME]:
        raise FormatTooNewError(
            f"the model reads the feature {unknown[0]!r}, which this release does not know: update foreclick"
        )
    return tuple(_BY_NAME[name] for name in names)
