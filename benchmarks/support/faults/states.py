"""What stands in Redis behind a run, read by a client of the bench's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import redis

from benchmarks.support.faults.shop import UNITS
from model_store.stored_states import bytes_of_number, unpacked_states
from streamer.state import UserState, unpack_state

_KEYS_PER_SCAN: Final = 5_000
_TOLERANCE: Final = 1e-4
_ID_CHARACTERS: Final = 8

StateKey = tuple[str, str]  # partition, user


@dataclass(frozen=True)
class StoredRun:
    """The offsets by partition, and the users' states, of one run's keys."""

    offsets: dict[str, int]
    states: dict[StateKey, UserState]


def read_states(client: redis.Redis, prefix: str, topic_id: str) -> StoredRun:
    """Return what is stored for a topic. Keys are ``prefix{start of the topic's id.partition}user``."""
    offsets: dict[str, int] = {}
    states: dict[StateKey, UserState] = {}
    keys = list(client.scan_iter(_pattern(prefix, topic_id), _KEYS_PER_SCAN))
    for key, value in zip(keys, cast("list[bytes | None]", client.mget(keys) if keys else []), strict=True):
        tag, _, user = key.decode(errors="surrogateescape").partition("{")[2].partition("}")
        partition = tag.rpartition(".")[2]
        if user:
            states[partition, user] = unpack_state(value)
        else:
            offsets[partition] = int(value or 0)
    return StoredRun(offsets, states)


def differing_users(one: StoredRun, others: dict[int, StoredRun]) -> set[StateKey]:
    """Return the users whose state in ``one`` is not that of the undisturbed run of the same model.

    ``others`` are by the model's fingerprint. The window is the same to the byte; the hidden state may differ
    by 1e-4.
    """
    wrong: set[StateKey] = set()
    users = set(one.states).union(*(other.states for other in others.values()))
    for user in users:
        state = one.states.get(user)
        other = others.get(state.model) if state is not None else None
        if state is None or other is None or not _same(state, other.states.get(user)):
            wrong.add(user)
    return wrong


def model_of(run: StoredRun) -> int:
    """Return the fingerprint of the model that made the states of an undisturbed run; 0 without any."""
    return next((state.model for state in run.states.values()), 0)


def _pattern(prefix: str, topic_id: str) -> str:
    return f"{prefix}{{{topic_id[:_ID_CHARACTERS]}.*"


def _same(one: UserState, other: UserState | None) -> bool:
    if other is None or (one.rows, one.partial, dict(one.names)) != (
        other.rows,
        other.partial,
        dict(other.names),
    ):
        return False
    if len(one.hidden) != len(other.hidden):
        return False
    difference = _numbers(one.hidden) - _numbers(other.hidden)
    return not difference.size or float(np.abs(difference).max()) <= _TOLERANCE


def _numbers(hidden: bytes) -> npt.NDArray[np.float32]:
    return unpacked_states(hidden, UNITS, bounded=len(hidden) == UNITS * bytes_of_number(bounded=True))
