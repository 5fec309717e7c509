"""Choosing events by time and by user."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.errors import LogError
from producers.events import Event, EventType
from producers.selection import Selection, UserSample, users_in


def event(user_id: str = "u", time_ms: int = 1_600_000_000_000) -> Event:
    return Event(event_id="e", user_id=user_id, event_type=EventType.VIEW, item_id="i", event_time_ms=time_ms)


def test_the_span_holds_its_start_and_not_its_end() -> None:
    selection = Selection(from_ms=1_600_000_000_000, to_ms=1_600_000_000_010)
    in_span = [selection.in_span(event(time_ms=1_600_000_000_000 + after)) for after in (-1, 0, 9, 10)]
    assert in_span == [False, True, True, False]


@given(st.lists(st.text(min_size=1, max_size=3), max_size=100), st.integers(1, 20), st.randoms())
def test_a_sample_depends_on_the_set_of_users_alone(users: list[str], size: int, random: object) -> None:
    first, second = UserSample(size), UserSample(size)
    for user in users:
        first.add(user)
    for user in sorted(set(users), reverse=True):
        second.add(user)
    assert first.users == second.users
    assert len(first.users) == min(size, len(set(users)))
    assert first.users <= set(users)


def test_each_user_is_as_likely_as_any_whatever_their_place() -> None:
    chosen_early = 0
    for seed in range(200):
        sample = UserSample(50, seed)
        for number in range(100):
            sample.add(f"user {number}")
        chosen_early += len([user for user in sample.users if int(user.split()[1]) < 50])
    # 10,000 draws without preference: 5,000, with a standard deviation of about 36 for 200 halves.
    assert abs(chosen_early - 5_000) < 180


def test_a_list_of_users(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("a\nb\n\n")
    assert users_in(path) == {"a", "b"}
    assert Selection(users=users_in(path)).has_user(event("a"))
    assert not Selection(users=users_in(path)).has_user(event("c"))
    path.write_text("\n")
    with pytest.raises(LogError, match="empty"):
        users_in(path)
    with pytest.raises(LogError, match="one id a line"):
        users_in(tmp_path / "none")
