"""One connection to a Redis server, on which many requests wait for their answers at once.

redis-py makes the connection (address, TLS, password, database) and hands it over. Its own calls spend most
of their CPU on a pool, retries and timers that a worker has no use for: nobody else takes turns with it, and
its pipeline tries again by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import hiredis
import redis.asyncio as redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as AnswerTimeout

_NO_REPLY: Final = object()
_RESP2: Final = 2  # no pushed messages between the answers

Argument = bytes | str | int


class RedisLink:
    """Sends commands to one server. It connects with the first one, and anew after a connection was lost.

    Each answer is awaited for ``timeout_s``; then the connection is given up, with all that waits on it.
    """

    def __init__(self, url: str, timeout_s: float, options: Mapping[str, Any]) -> None:
        """Take redis-py's ``url`` and ``options`` (password, TLS). Raises `ValueError` for another URL."""
        self._timeout_s = timeout_s
        self._pool = redis.ConnectionPool.from_url(
            url, protocol=_RESP2, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, **options
        )
        self._conversation: _Conversation | None = None
        self._connecting = asyncio.Lock()

    async def execute_command(self, *command: Argument) -> Any:
        """Return the server's answer. Raises `redis.exceptions.RedisError`, as redis-py does."""
        conversation = self._conversation
        if conversation is None or conversation.over:
            conversation = await self._connected()
        return await conversation.ask(command)

    async def aclose(self) -> None:
        """Close the connection; what waits on it ends with an error."""
        if self._conversation is not None:
            self._conversation.end(Disconnected, "the connection was closed")
        await self._pool.aclose()

    async def _connected(self) -> _Conversation:
        async with self._connecting:
            if self._conversation is None or self._conversation.over:
                connection: Any = self._pool.connection_class(**self._pool.connection_kwargs)
                await connection.connect()
                writer = connection._writer
                connection._reader = connection._writer = None  # it is redis-py's no more
                self._conversation = _Conversation(writer, self._timeout_s)
                writer.transport.set_protocol(self._conversation)
            return self._conversation


class _Conversation(asyncio.Protocol):
    """Requests and answers of one connection: Redis answers in the order of the requests."""

    def __init__(self, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self.over = False
        self._writer = writer  # a writer that nobody holds closes its transport
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._replies = hiredis.Reader(replyError=_error, notEnoughData=_NO_REPLY)
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Send ``command`` and return the future of its answer."""
        answer = self._loop.create_future()
        self._waiting.append((self._loop.time(), answer))
        if not self._unsent:
            # Whatever else is asked in this turn of the event loop goes out with it.
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(command))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look_for_overdue)
        return answer

    def end(self, error: type[RedisError], why: str) -> None:
        """Close the connection, and fail what waits with ``error``."""
        self.over = True
        self._writer.transport.close()
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(error(why))

    def data_received(self, data: bytes) -> None:
        """Hand the answers in ``data`` to those who wait for them."""
        self._replies.feed(data)
        try:
            while (reply := self._replies.gets()) is not _NO_REPLY:
                self._answer(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.end(Disconnected, f"the server does not speak Redis' protocol: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits."""
        self.end(Disconnected, f"the server closed the connection ({error or 'without an error'})")

    def _answer(self, reply: object) -> None:
        _, answer = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(reply, Exception):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if not self.over:
            self._writer.transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def _look_for_overdue(self) -> None:
        """Give the connection up if the oldest request is overdue; else look again when it would be."""
        self._timer = None
        if not self._waiting:
            return
        overdue_s = self._waiting[0][0] + self._timeout_s
        if overdue_s <= self._loop.time():
            self.end(AnswerTimeout, f"no answer within {self._timeout_s:g} s")
        else:
            self._timer = self._loop.call_at(overdue_s, self._look_for_overdue)


def _error(text: str) -> ResponseError:
    kind = NoScriptError if text.startswith("NOSCRIPT") else ResponseError
    return kind(text)
