"""What is learned of a training part, against NumPy over plain lists and by hand."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from model_store.features.groups import GROUP_NAMES
from model_store.features.statistics import DAY_MS, EncoderStatistics, statistics_of
from model_store.features.table import features_of
from model_store.windows import fingerprint, pack_row, rows_of
from producers.events import Event, EventType

MONDAY_MS = 1_704_067_200_000


def event(time_ms: int = MONDAY_MS, **fields: object) -> Event:
    known = {"event_id": "e", "user_id": "ada", "event_type": EventType.VIEW, "item_id": "cup"}
    return Event(**(known | {"event_time_ms": time_ms} | fields))  # type: ignore[arg-type]


def learned(*events: Event, category: list[int] | None = None, timed: bool = True) -> EncoderStatistics:
    indices = np.array(category or [0] * len(events), np.int32)
    rows = rows_of([pack_row(each) for each in events])
    return statistics_of(rows, indices, max(indices, default=0) + 1, timed=timed)


def usable(known: EncoderStatistics) -> set[str]:
    return {feature.name for feature in features_of(GROUP_NAMES, known)}


def test_cycles_are_learned_only_from_a_log_that_saw_them_twice() -> None:
    def cycles(days: float, *, timed: bool = True) -> tuple[bool, bool]:
        known = learned(event(), event(MONDAY_MS + int(days * DAY_MS)), timed=timed)
        return known.daily, known.weekly

    assert cycles(1.9) == (False, False)
    assert cycles(2) == (True, False)
    assert cycles(14) == (True, True)
    assert cycles(14, timed=False) == (False, False)


def test_a_category_of_few_prices_is_drawn_towards_the_shop() -> None:
    cups, pots = [1.0] * 30, [4.0] * 10
    events = [event(price=math.expm1(logarithm)) for logarithm in cups + pots]
    known = learned(*events, event(), category=[1] * 30 + [2] * 10 + [2])  # the last has no price
    mean, deviation = np.mean(cups + pots), np.std(cups + pots)
    assert (known.log_price_mean, known.log_price_deviation) == pytest.approx((mean, deviation), abs=1e-3)
    assert known.category_prices[0] == (known.log_price_mean, known.log_price_deviation)
    cup_mean, pot_mean = (30 * 1.0 + 10 * mean) / 40, (10 * 4.0 + 10 * mean) / 20
    assert [pair[0] for pair in known.category_prices[1:]] == pytest.approx([cup_mean, pot_mean], abs=1e-3)
    cup_variance = (30 * (1.0 - cup_mean) ** 2 + 10 * deviation**2) / 40
    assert known.category_prices[1][1] == pytest.approx(math.sqrt(cup_variance), abs=1e-3)


def test_one_price_or_none_divides_by_nothing() -> None:
    same = learned(event(price=5.0), event(price=5.0), category=[1, 1])
    assert same.log_price_deviation > 0
    assert all(deviation > 0 for _, deviation in same.category_prices)
    none = learned(event(), category=[1])
    assert (none.priced, none.category_prices) == (False, ())
    assert usable(none).isdisjoint({"log_price", "price_absent", "price_in_category"})


def test_frequent_devices_come_first_and_the_rare_have_no_column() -> None:
    devices = ["phone"] * 150 + ["tablet"] * 148 + ["toaster"] * 2
    known = learned(*(event(device=device) for device in devices))
    assert known.devices == (fingerprint("phone", 8), fingerprint("tablet", 8))
    assert known.sources == ()  # nobody has one
    assert "device" in usable(known)
    assert "source" not in usable(known)


def test_what_is_the_same_everywhere_has_no_column() -> None:
    known = learned(event(device="phone"), event(device="phone"))
    assert known.devices == ()
    assert "type_counts" not in usable(msgspec.structs.replace(known, events=5_000))


def test_a_small_log_is_not_asked_for_counts_which_it_would_learn_by_heart() -> None:
    known = learned(event(), event(event_type=EventType.CART))
    assert known.events == 2
    deep = {"type_counts", "cart_size", "looks_in_a_row"}
    deep |= {"session_position", "session_types", "session_time"}
    assert usable(msgspec.structs.replace(known, events=4_999)).isdisjoint(deep)
    assert deep <= usable(msgspec.structs.replace(known, events=5_000))


def test_a_price_known_now_and_then_is_worth_a_column() -> None:
    assert {"log_price", "price_absent"} <= usable(learned(event(price=1.0), event()))


def test_no_event_teaches_nothing() -> None:
    known = learned()
    assert (known.priced, known.daily, known.event_types, known.devices) == (False, False, (), ())
