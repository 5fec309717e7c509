"""Baselines on histories that are small enough to count by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.baselines import Act, Baseline, Markov, Popular, Repeat, standard_baselines

VIEW, CART, NONE = 0, 1, 2
USER = 1


def fit(baseline: Baseline, *sessions: list[tuple[int, int]]) -> None:
    """Teach whole sessions of (action, item) of one user; each ends with `NONE`."""
    for session in sessions:
        for place, (action, item) in enumerate(session):
            baseline.observe(USER, Act(action, item, place == 0))
            follows = session[place + 1] if place + 1 < len(session) else (NONE, 0)
            baseline.learn(USER, *follows)


def test_popular_counts_what_followed() -> None:
    popular = Popular(3)
    fit(popular, [(VIEW, 10), (VIEW, 20), (CART, 20)], [(VIEW, 20), (VIEW, 10)])
    # What followed: view, cart, none, view, none; one more each at the start.
    assert popular.next_action(USER).probabilities.tolist() == pytest.approx([3 / 8, 2 / 8, 3 / 8])
    assert popular.next_items(USER, 5) == [20, 10]
    assert popular.next_items(USER, 1) == [20]


def test_equally_popular_items_stand_by_number() -> None:
    popular = Popular(3)
    fit(popular, [(VIEW, 1), (VIEW, 9), (VIEW, 4)])
    assert popular.next_items(USER, 5) == [4, 9]


def test_repeat_says_the_last_action_and_the_own_items_newest_first() -> None:
    repeat = Repeat(3)
    fit(repeat, [(VIEW, 10), (VIEW, 20), (CART, 30), (VIEW, 20)])
    other = 2
    repeat.observe(other, Act(CART, 50, True))
    repeat.observe(other, Act(VIEW, 60, False))
    repeat.observe(other, Act(CART, 50, False))
    # One of four followers repeated its action, beside one of two that are assumed.
    predicted, probabilities = repeat.next_action(other)
    assert predicted == CART
    assert probabilities[CART] == pytest.approx(2 / 6)
    # Followers were view, cart, view, none, one more each: without cart, view to none is 3 to 2.
    assert probabilities.tolist() == pytest.approx([4 / 6 * 3 / 5, 2 / 6, 4 / 6 * 2 / 5])
    assert repeat.next_items(other, 5) == [50, 60, 20, 30]
    assert repeat.next_items(other, 1) == [50]


def test_repeat_keeps_a_bounded_number_of_own_items() -> None:
    repeat = Repeat(3)
    for item in range(1, 151):
        repeat.observe(USER, Act(VIEW, item, False))
    assert repeat.next_items(USER, 1_000) == list(range(150, 50, -1))


def test_markov_of_order_1_blends_the_last_action_with_popularity() -> None:
    markov = Markov(3, order=1)
    fit(markov, [(VIEW, 10), (VIEW, 20), (CART, 20)])
    markov.observe(2, Act(VIEW, 10, True))
    # Popular: (1 + 1, 1 + 1, 1 + 1) of 6. After a view came one view and one cart; the prior weighs 10.
    third = 10 / 3
    assert markov.next_action(2).probabilities.tolist() == pytest.approx(
        [(1 + third) / 12, (1 + third) / 12, third / 12]
    )
    assert markov.next_items(2, 5) == [20]


def test_markov_of_order_2_tells_contexts_apart() -> None:
    markov = Markov(3, order=2)
    fit(markov, *[[(VIEW, 1), (VIEW, 2), (VIEW, 3)], [(VIEW, 5), (VIEW, 2), (VIEW, 4)]] * 5)
    for user, first, expected in [(7, 1, 3), (8, 5, 4)]:
        markov.observe(user, Act(VIEW, first, True))
        markov.observe(user, Act(VIEW, 2, False))
        assert markov.next_items(user, 1) == [expected]


def test_a_new_session_forgets_the_context() -> None:
    markov = Markov(3, order=2)
    fit(markov, [(CART, 1), (VIEW, 2), (CART, 3)])
    markov.observe(5, Act(CART, 1, True))
    markov.observe(5, Act(VIEW, 2, True))
    markov.observe(6, Act(VIEW, 2, True))
    assert markov.next_action(5).probabilities.tolist() == markov.next_action(6).probabilities.tolist()


def test_an_event_without_an_item_keeps_the_items_before_it() -> None:
    markov = Markov(3, order=1)
    fit(markov, [(VIEW, 1), (VIEW, 2)])
    markov.observe(3, Act(VIEW, 1, True))
    markov.observe(3, Act(CART, 0, False))
    assert markov.next_items(3, 1) == [2]


def test_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order 1 or 2"):
        Markov(3, order=3)


sessions = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=6), min_size=1, max_size=6
)


@given(sessions)
def test_all_give_probabilities_and_different_items(history: list[list[tuple[int, int]]]) -> None:
    for baseline in standard_baselines(3).values():
        fit(baseline, *history)
        baseline.observe(9, Act(*history[0][0], True))
        predicted, probabilities = baseline.next_action(9)
        assert 0 <= predicted < 3
        assert probabilities.sum() == pytest.approx(1)
        assert (probabilities > 0).all()
        items = baseline.next_items(9, 4)
        assert len(items) == len(set(items)) <= 4
        assert 0 not in items


def test_none_has_an_opinion_before_it_learns() -> None:
    for baseline in standard_baselines(3).values():
        baseline.observe(1, Act(VIEW, 0, True))
        assert baseline.next_action(1).probabilities.sum() == pytest.approx(1)
        assert baseline.next_items(1, 5) == []
