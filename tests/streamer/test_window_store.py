"""One contract for every window store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

import pytest
import redis

from streamer.errors import StaleOwner, StoreUnavailable
from streamer.records import SourcePartition
from streamer.window_store import Question, RedisWindowStore, Snapshot, WindowStore, Write
from tests.streamer.stores import InMemoryWindowStore

SOURCE = SourcePartition("topicid0abcdefghijklmn", 3)
NEXT = SourcePartition("topicid0abcdefghijklmn", 4)
Scenario = Callable[[WindowStore], Awaitable[None]]
Runner = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "redis", "cluster"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Run a scenario against an empty store."""
    if request.param == "memory":
        return lambda scenario: asyncio.run(_run(scenario, InMemoryWindowStore()))
    cluster = request.param == "cluster"
    url = request.getfixturevalue("redis_cluster_url" if cluster else "redis_url")
    prefix = request.getfixturevalue("unique_prefix")

    async def with_redis(scenario: Scenario) -> None:
        connected = RedisWindowStore.connect(url, prefix, 60_000, 5_000, {}, cluster=cluster)
        async with aclosing(connected) as store:
            await scenario(store)

    return lambda scenario: asyncio.run(with_redis(scenario))


async def read(store: WindowStore, source: SourcePartition, users: list[bytes]) -> Snapshot:
    (snapshot,) = await store.read([Question(source, users)])
    return snapshot


async def write(
    store: WindowStore,
    source: SourcePartition,
    expected: int | None,
    reached: int,
    states: dict[bytes, bytes],
) -> None:
    """Write to one partition, and raise its refusal."""
    (refusal,) = await store.write([Write(source, expected, reached, states)])
    if refusal is not None:
        raise refusal


async def _run(scenario: Scenario, store: WindowStore) -> None:
    await scenario(store)


def test_an_empty_store_knows_no_offset_and_no_state(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        snapshot = await read(store, SOURCE, [b"ann", b"bob"])
        assert snapshot.offset is None
        assert snapshot.states == [None, None]
        assert await store.offset(SOURCE) is None

    run(scenario)


def test_what_was_written_is_read_with_the_offset_it_reaches(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {b"ann": b"\0one", b"bob": b"two"})
        await write(store, SOURCE, 5, 9, {b"ann": b"three"})
        snapshot = await read(store, SOURCE, [b"bob", b"cy", b"ann"])
        assert snapshot.offset == 9
        assert snapshot.states == [b"two", None, b"three"]

    run(scenario)


@pytest.mark.parametrize("expected", [None, 4, 8])
def test_a_write_that_expects_another_offset_changes_nothing(run: Runner, expected: int | None) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {b"ann": b"one"})
        with pytest.raises(StaleOwner) as refusal:
            await write(store, SOURCE, expected, 9, {b"ann": b"two", b"bob": b"two"})
        assert refusal.value.actual == 5
        snapshot = await read(store, SOURCE, [b"ann", b"bob"])
        assert snapshot.offset == 5
        assert snapshot.states == [b"one", None]

    run(scenario)


def test_a_write_into_an_emptied_store_is_refused(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        with pytest.raises(StaleOwner) as refusal:
            await write(store, SOURCE, 5, 9, {b"ann": b"two"})
        assert refusal.value.actual is None

    run(scenario)


def test_a_write_whose_answer_was_lost_may_be_repeated(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {b"ann": b"one"})
        await write(store, SOURCE, None, 5, {b"ann": b"one"})
        assert await store.offset(SOURCE) == 5

    run(scenario)


def test_partitions_and_topics_made_anew_share_nothing(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {b"ann": b"one"})
        for other in (SourcePartition(SOURCE.topic_id, 4), SourcePartition("another0abcdefghijklmn", 3)):
            snapshot = await read(store, other, [b"ann"])
            assert snapshot.offset is None
            assert snapshot.states == [None]

    run(scenario)


def test_a_batch_without_users_still_moves_the_offset(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {})
        assert (await read(store, SOURCE, [])).offset == 5

    run(scenario)


def test_partitions_that_are_read_together_keep_to_themselves(run: Runner) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {b"ann": b"one", b"bob": b"two"})
        await write(store, NEXT, None, 7, {b"ann": b"three"})
        first, none, second = await store.read(
            [Question(SOURCE, [b"bob", b"cy", b"ann"]), Question(NEXT, []), Question(NEXT, [b"ann", b"bob"])]
        )
        assert (first.offset, first.states) == (5, [b"two", None, b"one"])
        assert (none.offset, none.states) == (7, [])
        assert (second.offset, second.states) == (7, [b"three", None])

    run(scenario)


@pytest.mark.parametrize("stale_first", [True, False])
def test_a_refused_write_stops_none_that_goes_with_it(run: Runner, stale_first: bool) -> None:
    async def scenario(store: WindowStore) -> None:
        await write(store, SOURCE, None, 5, {b"ann": b"one"})
        stale = Write(SOURCE, 4, 9, {b"ann": b"two", b"bob": b"two"})
        due = Write(NEXT, None, 3, {b"ann": b"three", b"cy": b"four"})
        refusals = await store.write([stale, due] if stale_first else [due, stale])
        refusal, nothing = refusals if stale_first else reversed(refusals)
        assert isinstance(refusal, StaleOwner)
        assert (refusal.expected, refusal.actual, nothing) == (4, 5, None)
        kept, written = await store.read(
            [Question(SOURCE, [b"ann", b"bob"]), Question(NEXT, [b"ann", b"cy"])]
        )
        assert (kept.offset, kept.states) == (5, [b"one", None])
        assert (written.offset, written.states) == (3, [b"three", b"four"])

    run(scenario)


@pytest.fixture(params=["+@all", "+@all -msetex"])
def url_of_permitted(request: pytest.FixtureRequest, redis_url: str, unique_prefix: str) -> Iterator[str]:
    """Give the server's address for a user who may call every command, and for one without MSETEX.

    An older server knows no MSETEX at all.
    """
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command(
            "ACL", "SETUSER", unique_prefix, "on", ">known", "~*", *request.param.split(" ")
        )
        yield redis_url.replace("redis://", f"redis://{unique_prefix}:known@")
        client.acl_deluser(unique_prefix)


@pytest.mark.parametrize("users", [1, 500, 501, 1_203])
def test_all_states_are_stored_and_expire_while_the_offset_stays(
    url_of_permitted: str, redis_url: str, unique_prefix: str, users: int
) -> None:
    states = {b"user-%d" % n: b"state of %d" % n for n in range(users)}

    async def scenario() -> Snapshot:
        connected = RedisWindowStore.connect(url_of_permitted, unique_prefix, 7_000, 5_000, {})
        async with aclosing(connected) as store:
            await write(store, SOURCE, None, 5, states)
            return await read(store, SOURCE, list(states))

    assert asyncio.run(scenario()) == Snapshot(5, list(states.values()))
    with redis.Redis.from_url(redis_url) as client:
        times_to_live = {key: client.pttl(key) for key in client.keys(f"{unique_prefix}*")}
    root = f"{unique_prefix}{{topicid0.3}}".encode()
    assert times_to_live.pop(root) == -1
    assert set(times_to_live) == {root + user for user in states}
    assert all(0 < left_ms <= 7_000 for left_ms in times_to_live.values())


def test_a_server_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    async def scenario() -> None:
        url = f"redis://127.0.0.1:{unused_tcp_port}/0"
        async with aclosing(RedisWindowStore.connect(url, "x", 1_000, 300, {})) as store:
            with pytest.raises(StoreUnavailable, match="is it up"):
                await store.offset(SOURCE)

    asyncio.run(scenario())


@pytest.fixture
def unused_tcp_port() -> int:
    """A port on which nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
