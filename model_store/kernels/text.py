"""Writing text into a buffer of bytes. What puts something there returns where the next thing goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare

_MILLION: Final = 1_000_000
_ZERO: Final = ord("0")
_QUOTE, _ESCAPE = ord('"'), ord("\\")

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """N pieces of text: piece n is ``text`` from ``starts[n]`` to ``ends[n]``."""

    text: Bytes
    starts: Ints
    ends: Ints


def texts_of(pieces: Sequence[bytes]) -> Texts:
    """Return ``pieces`` as kernels read them."""
    ends = np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(pieces) else ends
    return Texts(np.frombuffer(b"".join(pieces), np.uint8), starts, ends)


def json_strings(strings: Sequence[str]) -> Texts:
    """Return each of ``strings`` as JSON, with its quotes."""
    text = np.frombuffer(msgspec.json.encode(strings), np.uint8)
    starts, ends = np.empty(len(strings), np.int64), np.empty(len(strings), np.int64)
    find_strings(text, starts, ends)
    return Texts(text, starts, ends)


@compiled_bare
def find_strings(text: Bytes, starts: Ints, ends: Ints) -> None:
    """Put where each string of a JSON array of strings begins and ends, its quotes included."""
    at = 0
    for place in range(len(starts)):
        while text[at] != _QUOTE:
            at += 1
        starts[place] = at
        at += 1
        while text[at] != _QUOTE:
            at += 2 if text[at] == _ESCAPE else 1
        at += 1
        ends[place] = at


@compiled_bare
def put_text(out: Bytes, at: Any, texts: Texts, number: Any) -> Any:
    """Write piece ``number`` of ``texts``."""
    for place in range(texts.starts[number], texts.ends[number]):
        out[at] = texts.text[place]
        at += 1
    return at


@compiled_bare
def put_integer(out: Bytes, at: Any, value: Any) -> Any:
    """Write a whole number."""
    left = np.int64(value)
    if left < 0:
        out[at] = ord("-")
        at += 1
        left = -left
    digits = 1
    bound = np.int64(10)
    while digits < 19 and left >= bound:
        digits += 1
        bound *= 10
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = _ZERO + left % 10
        left //= 10
    return at + digits


@compiled_bare
def put_decimal(out: Bytes, at: Any, value: Any) -> Any:
    """Write a number rounded to 6 decimals, half to even, and no zeros at its end; ``null`` if not finite."""
    if not math.isfinite(value):
        for letter in (ord("n"), ord("u"), ord("l"), ord("l")):
            out[at] = letter
            at += 1
        return at
    millionths = np.int64(np.rint(np.float64(value) * _MILLION))
    if millionths < 0:
        out[at] = ord("-")
        at += 1
        millionths = -millionths
    at = put_integer(out, at, millionths // _MILLION)
    rest = millionths % _MILLION
    out[at] = ord(".")
    at += 1
    scale = _MILLION // 10
    while True:
        out[at] = _ZERO + rest // scale
        at += 1
        rest %= scale
        scale //= 10
        if rest == 0:
            return at
