"""Requests and answers on one connection to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as AnswerTimeout

from streamer.redis_link import RedisLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG_S = 5.0
NO_GREETING = {"driver_info": None}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def link_to(serve: Handler, timeout_s: float) -> AsyncIterator[RedisLink]:
    """Yield a link to a server that leaves everything to ``serve``."""

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve_and_close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with aclosing(RedisLink(f"redis://127.0.0.1:{port}/0", timeout_s, NO_GREETING)) as link:
            yield link


async def close_without_an_answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Close the connection once a request has come."""
    await reader.readline()


async def never_answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Read until the other side closes."""
    await reader.read()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what is not Redis' protocol."""
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


def test_requests_that_wait_together_get_each_its_own_answer(redis_url: str, unique_prefix: str) -> None:
    async def scenario() -> None:
        async with aclosing(RedisLink(redis_url, LONG_S, {})) as link:
            keys = [f"{unique_prefix}{n}" for n in range(200)]
            await asyncio.gather(
                *(link.execute_command("SET", key, key.encode() * 1_000, "PX", 9_000) for key in keys)
            )
            answers = await asyncio.gather(*(link.execute_command("GET", key) for key in keys))
            assert answers == [key.encode() * 1_000 for key in keys]

    asyncio.run(scenario())


def test_an_error_answers_only_its_own_request(redis_url: str, unique_prefix: str) -> None:
    async def scenario() -> None:
        async with aclosing(RedisLink(redis_url, LONG_S, {})) as link:
            answers = await asyncio.gather(
                link.execute_command("GET"),
                link.execute_command("EVALSHA", "0" * 40, 0),
                link.execute_command("EXISTS", unique_prefix),
                return_exceptions=True,
            )
            assert [type(answer) for answer in answers] == [ResponseError, NoScriptError, int]

    asyncio.run(scenario())


def test_a_request_that_is_given_up_leaves_the_others_their_answers(
    redis_url: str, unique_prefix: str
) -> None:
    async def scenario() -> None:
        async with aclosing(RedisLink(redis_url, LONG_S, {})) as link:
            await link.execute_command("SET", unique_prefix, "kept", "PX", 9_000)
            given_up = asyncio.create_task(link.execute_command("EXISTS", unique_prefix))
            kept = asyncio.create_task(link.execute_command("GET", unique_prefix))
            await asyncio.sleep(0)
            given_up.cancel()
            assert await kept == b"kept"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("serve", "timeout_s", "error"),
    [
        (close_without_an_answer, LONG_S, Disconnected),
        (never_answer, 0.05, AnswerTimeout),
        (babble, LONG_S, Disconnected),
    ],
)
def test_a_server_that_fails_ends_all_that_waits(
    serve: Handler, timeout_s: float, error: type[Exception]
) -> None:
    async def scenario() -> None:
        async with link_to(serve, timeout_s) as link:
            for _ in range(2):  # the second time over a new connection
                ends = await asyncio.gather(
                    link.execute_command("GET", "a"), link.execute_command("GET", "b"), return_exceptions=True
                )
                assert [type(end) for end in ends] == [error, error]

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_closing_ends_what_waits() -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def note_and_never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            asked.set()
            await never_answer(reader, writer)

        async with link_to(note_and_never_answer, LONG_S) as link:
            waiting = asyncio.create_task(link.execute_command("GET", "a"))
            await asked.wait()
            await link.aclose()
            with pytest.raises(Disconnected):
                await waiting

    asyncio.run(asyncio.wait_for(scenario(), 30))
