"""A TCP proxy that can be cut, slowed and mended: the network between a worker and a server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Final, Self, TypeVar

from foreclick.services.process import LOOPBACK, free_port

Answer = TypeVar("Answer")
_CHUNK_BYTES: Final = 65_536


class Network:
    """The thread in which all proxies run. Use it as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self.proxies: list[Proxy] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self.proxies:
            proxy.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run ``work`` in the network's thread and return its answer."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Proxy:
    """Forwards ``port`` to ``target_port`` on loopback. ``delay_s`` holds back each chunk, either way."""

    def __init__(self, network: Network, target_port: int) -> None:
        self.port = free_port()
        self.target_port = target_port
        self.delay_s = 0.0
        self._network = network
        network.proxies.append(self)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.mend()

    @property
    def address(self) -> str:
        """Where to connect."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections stand."""
        return len(self._writers) // 2

    def cut(self) -> int:
        """Refuse connections and end those that stand; return how many those were."""
        return self._network.run(self._cut())

    def mend(self) -> None:
        """Accept connections again."""
        self._network.run(self._listen())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def _cut(self) -> int:
        if self._server is not None:
            self._server.close()
            self._server = None
        ended, standing = self.connections, list(self._writers)
        for writer in standing:
            writer.transport.abort()
        return ended

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        both = (writer, server_writer)
        self._writers.update(both)
        try:
            await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer))
        finally:
            self._writers.difference_update(both)
            for one in both:
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()
        writer.close()
