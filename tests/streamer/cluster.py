"""A Redis Cluster of three real nodes on loopback, each with a third of the slots."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from foreclick.services.process import LOOPBACK, free_port
from foreclick.services.valkey import ValkeyServer

NODES: Final = 3
SLOTS: Final = 16_384
PATIENCE_S: Final = 30.0


class ClusterNode(ValkeyServer):
    """A Valkey server that is a node of a cluster.

    Its port for the other nodes is a free one too: the customary one, 10,000 above its own, may be held by
    somebody's outgoing connection.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 0, temporary=True)
        self.bus_port = free_port()

    def command(self) -> Sequence[str]:
        """Give the server's command, in cluster mode."""
        return [*super().command(), "--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)]


@contextmanager
def running_cluster(directory: Path) -> Iterator[list[ClusterNode]]:
    """Run three nodes that own all slots between them, and stop them at the end."""
    with ExitStack() as stack:
        nodes = [ClusterNode(directory / str(number)) for number in range(NODES)]
        for node in nodes:
            node.start()
            stack.callback(node.stop)
        clients = [stack.enter_context(redis.Redis(port=node.port)) for node in nodes]
        for number, client in enumerate(clients):
            first, last = number * SLOTS // NODES, (number + 1) * SLOTS // NODES - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", LOOPBACK, node.port, node.bus_port)
        _wait_until_whole(clients)
        yield nodes


def _wait_until_whole(clients: Sequence[Any]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not all(_is_whole(client) for client in clients):
        assert time.monotonic() < deadline_s, "the nodes did not find one another"
        time.sleep(0.05)


def _is_whole(client: Any) -> bool:
    about = client.execute_command("CLUSTER", "INFO").decode().split()
    return "cluster_state:ok" in about and f"cluster_known_nodes:{NODES}" in about
