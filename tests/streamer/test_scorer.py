"""The threads that score, against the same groups scored in one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from threadpoolctl import threadpool_info

from model_store.serving import ServedModel
from streamer import scorer as scorer_module
from streamer.decoding import decode_batch
from streamer.exits import leaves
from streamer.memory import Slot
from streamer.profile import Profile
from streamer.records import SourcePartition
from streamer.rendering import RenderingSettings
from streamer.scorer import QUICK_S, Scorer, scoring_thread
from streamer.scoring import Advanced, ScoredBatch, ScoringSettings, score_group
from streamer.windowing import Group
from tests.streamer.events import START_MS, batch, event, record
from tests.streamer.models import random_model

SOURCE = SourcePartition("topicid0abcdefghijklmn", 0)
MODEL, OTHER = random_model(), random_model(seed=2)
OTHER.version = "0002"
SCORING = ScoringSettings(1_000, RenderingSettings(3, 0.8))
PATIENCE_S = 30.0
ONE_THREAD = 1_000_000


class ModelFails(Exception):
    """What a model raises here."""


def lots(sizes: Sequence[int]) -> list[Group]:
    """Lots of so many events each, all of one user, so that each goes on from the one before."""

    slot, offset = Slot(), 0
    made: list[Group] = []
    for size in sizes:
        events = [
            event(f"e{place}", "ann", place, f"item-{place % 40}") for place in range(offset, offset + size)
        ]
        records = [record(place, one) for place, one in enumerate(events, offset)]
        made.append([(decode_batch(batch(records), SOURCE), {b"ann": slot})])
        offset += size
    return made


def scorer_of(
    handed_over_events: int, max_group_events: int = 1, clock_s: Callable[[], float] = time.monotonic
) -> Scorer:
    return Scorer(
        MODEL,
        SCORING,
        max_group_events,
        lambda: START_MS,
        Profile(),
        handed_over_events=handed_over_events,
        clock_s=clock_s,
    )


async def scored(
    scorer: Scorer, groups: Sequence[Group], models: Sequence[ServedModel] | None = None
) -> tuple[list[int], list[asyncio.Future[list[ScoredBatch]]], BaseException | None]:
    """Score ``groups``; return in which order they were done, what became of each, and what ended the run."""
    order: list[int] = []
    results = [
        scorer.score(group, model)
        for group, model in zip(groups, models or [MODEL] * len(groups), strict=True)
    ]
    for place, result in enumerate(results):
        result.add_done_callback(partial(_note, order, place))
    running = asyncio.create_task(scorer.run())
    either: list[asyncio.Future[Any]] = [running, asyncio.gather(*results)]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    ended = running.exception() if running.done() else None
    running.cancel()
    await asyncio.wait([running])
    scorer.close()
    return order, results, ended


@pytest.mark.parametrize("handed_over_events", [1, 3, ONE_THREAD])
@pytest.mark.parametrize("max_group_events", [1, 4, 100])
def test_groups_are_scored_in_order_whatever_thread_ends_them(
    handed_over_events: int, max_group_events: int
) -> None:
    sizes = [1, 5, 2, 2, 7, 1, 1, 4, 3]
    order, results, ended = asyncio.run(scored(scorer_of(handed_over_events, max_group_events), lots(sizes)))
    wanted = [
        batch for group in lots(sizes) for batch in score_group(MODEL, group, SCORING, START_MS, Profile())
    ]
    assert (order, ended) == (list(range(len(sizes))), None)
    assert [len(alone.predictions) for alone in wanted] == sizes
    for (got,), alone in zip([result.result() for result in results], wanted, strict=True):
        assert (got.next_offset, list(got.states)) == (alone.next_offset, [b"ann"])
        for (key, value), (_, expected) in zip(got.predictions, alone.predictions, strict=True):
            assert key == b"ann"
            assert_close(msgspec.json.decode(value), msgspec.json.decode(expected))


def test_one_group_advances_while_the_one_before_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = [threading.Event() for _ in range(3)]
    together = []
    called(monkeypatch, "advance", lambda number: begun[number].set())

    def wait(number: int) -> None:
        if number < 2:
            together.append(begun[number + 1].wait(PATIENCE_S))

    called(monkeypatch, "finish", wait)
    order, _, ended = asyncio.run(scored(scorer_of(1), lots([2, 2, 2])))
    assert (together, order, ended) == ([True, True], [0, 1, 2], None)


def test_a_small_group_is_ended_in_the_thread_that_advanced_it(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, list[int]] = {"advance": [], "finish": []}
    for stage, idents in threads.items():
        called(monkeypatch, stage, partial(_note_thread, idents))
    asyncio.run(scored(scorer_of(4), lots([1, 4, 1])))
    same = [one == other for one, other in zip(threads["advance"], threads["finish"], strict=True)]
    assert same[:2] == [True, False]


def test_small_groups_are_scored_in_the_event_loop_while_the_one_before_was_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = list[int]()
    called(monkeypatch, "finish", partial(_note_thread, threads))
    took_s = [0.001, QUICK_S / 2, 2 * QUICK_S, QUICK_S / 2, QUICK_S / 2]
    clock = accumulate(s for took in took_s for s in (1.0, took))
    asyncio.run(scored(scorer_of(4, clock_s=lambda: next(clock)), lots([1, 1, 3, 1, 1])))
    # Nobody knows how quick the first is; the third is too slow, so that the fourth is watched.
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [False, True, True, False, True]


@pytest.mark.parametrize("stage", ["advance", "finish"])
@pytest.mark.parametrize("handed_over_events", [1, ONE_THREAD])
def test_a_failure_of_either_stage_ends_the_run(
    stage: str, handed_over_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int) -> None:
        if number == 1:
            raise ModelFails

    called(monkeypatch, stage, fail)
    _, results, ended = asyncio.run(scored(scorer_of(handed_over_events), lots([2, 2, 2])))
    assert ended is not None
    assert [type(error) for error in leaves(ended)] == [ModelFails]
    assert not any(result.done() and not result.cancelled() for result in results[1:])


def test_a_group_keeps_its_model_while_the_next_one_has_another() -> None:
    models = [MODEL, OTHER, MODEL, OTHER]
    _, results, ended = asyncio.run(scored(scorer_of(1, 100), lots([3, 3, 3, 3]), models))
    assert ended is None
    said = [
        {msgspec.json.decode(value)["model"]["version"] for _, value in batch.predictions}
        for result in results
        for batch in result.result()
    ]
    assert said == [{model.version} for model in models]


def test_the_libraries_of_the_scoring_thread_start_no_threads_of_their_own() -> None:
    import faiss  # noqa: F401 - brings OpenMP

    with scoring_thread() as thread:
        libraries = thread.submit(threadpool_info).result()
    assert "openmp" in {library["user_api"] for library in libraries}
    assert {library["num_threads"] for library in libraries} == {1}


def test_closing_ends_both_threads() -> None:
    before = set(threading.enumerate())
    scorer = scorer_of(1)
    asyncio.run(scored(scorer, lots([2, 2])))
    started = set(threading.enumerate()) - before
    for thread in started:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in started)


def _note(order: list[int], place: int, _: asyncio.Future[list[ScoredBatch]]) -> None:
    order.append(place)


def _note_thread(idents: list[int], _: int) -> None:
    idents.append(threading.get_ident())


def called(monkeypatch: pytest.MonkeyPatch, stage: str, before: Callable[[int], None]) -> None:
    """Call ``before`` with the number of the call, from 0, before ``stage`` runs."""
    run: Callable[..., Advanced | list[ScoredBatch]] = getattr(scorer_module, stage)
    numbers = iter(range(1_000))

    def told(*arguments: Any) -> Advanced | list[ScoredBatch]:
        before(next(numbers))
        return run(*arguments)

    monkeypatch.setattr(scorer_module, stage, told)


def assert_close(got: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Numbers are products of matrices, which round otherwise for one row than for many."""
    assert (got["prediction_id"], got["model"]) == (wanted["prediction_id"], wanted["model"])
    assert got["next_action"] == pytest.approx(wanted["next_action"], abs=1e-5)
    assert got["churn"]["probability"] == pytest.approx(wanted["churn"]["probability"], abs=1e-5)
    scores = [[item["score"] for item in said["next_items"]] for said in (got, wanted)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
