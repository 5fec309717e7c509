"""Writing text into a buffer of bytes. What puts something there returns where the next thing goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare, compiled_brief

_MILLION: Final = 1_000_000
_PLACES: Final = 6
_ZERO, _MINUS, _POINT = ord("0"), ord("-"), ord(".")
_QUOTE, _ESCAPE = ord('"'), ord("\\")

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """N pieces of text: piece n is ``text`` from ``starts[n]`` to ``ends[n]``, at most ``longest`` bytes."""

    text: Bytes
    starts: Ints
    ends: Ints
    longest: int


def texts_of(pieces: Sequence[bytes]) -> Texts:
    """Return ``pieces`` as kernels read them."""
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ends = lengths.cumsum()
    text = np.frombuffer(b"".join(pieces), np.uint8)
    return Texts(text, ends - lengths, ends, int(lengths.max(initial=0)))


def equal_texts(pieces: Bytes) -> Texts:
    """Return ``pieces`` [N, bytes], all of one length, as kernels read them."""
    number, length = pieces.shape
    text = np.ascontiguousarray(pieces).reshape(-1).view()
    text.flags.writeable = False  # as those of `texts_of`, so that a kernel is compiled once
    starts = np.arange(number) * length
    return Texts(text, starts, starts + length, length)


def json_strings(strings: Sequence[str]) -> Texts:
    """Return each of ``strings`` as JSON, with its quotes."""
    text = np.frombuffer(msgspec.json.encode(strings), np.uint8)
    starts, ends = np.empty(len(strings), np.int64), np.empty(len(strings), np.int64)
    longest = find_strings(text, starts, ends)
    return Texts(text, starts, ends, longest)


@compiled_brief
def find_strings(text: Bytes, starts: Ints, ends: Ints) -> Any:
    """Put where each string of a JSON array begins and ends, with its quotes; return the longest's bytes."""
    at = longest = 0
    for place in range(len(starts)):
        while text[at] != _QUOTE:
            at += 1
        starts[place] = at
        at += 1
        while text[at] != _QUOTE:
            at += 2 if text[at] == _ESCAPE else 1
        at += 1
        ends[place] = at
        longest = max(longest, at - starts[place])
    return longest


@compiled_bare
def put_text(out: Bytes, at: Any, texts: Texts, number: Any) -> Any:
    """Write piece ``number`` of ``texts``."""
    start, to = np.uint64(texts.starts[number]), np.uint64(at)
    length = np.uint64(texts.ends[number]) - start
    for place in range(length):  # unsigned, so that no index can count from the end: four times faster
        out[to + place] = texts.text[start + place]
    return at + np.int64(length)


@compiled_bare
def put_integer(out: Bytes, at: Any, value: Any) -> Any:
    """Write a whole number."""
    if value < 0:
        out[at] = _MINUS
        at += 1
    left = np.uint64(abs(value))
    digits = 1
    bound = np.uint64(10)
    while digits < 19 and left >= bound:
        digits += 1
        bound *= np.uint64(10)
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = np.uint64(_ZERO) + left % np.uint64(10)
        left //= np.uint64(10)
    return at + digits


@compiled_bare
def put_decimal(out: Bytes, at: Any, value: Any) -> Any:
    """Write a number rounded to 6 decimals, half to even, and no zeros at its end; ``null`` if not finite."""
    if not math.isfinite(value):
        for letter in (ord("n"), ord("u"), ord("l"), ord("l")):
            out[at] = letter
            at += 1
        return at
    rounded = np.rint(np.float64(value) * _MILLION)
    if rounded < 0:
        out[at] = _MINUS
        at += 1
    millionths = np.uint64(abs(rounded))
    whole = millionths // np.uint64(_MILLION)
    if whole < np.uint64(10):
        out[at] = np.uint64(_ZERO) + whole
        at += 1
    else:
        at = put_integer(out, at, np.int64(whole))
    out[at] = _POINT
    rest = np.uint32(millionths - whole * np.uint64(_MILLION))
    last = at + 1  # at least one decimal stays
    for place in range(at + _PLACES, at, -1):
        digit = rest % np.uint32(10)
        rest //= np.uint32(10)
        out[place] = np.uint32(_ZERO) + digit
        if digit != 0 and place > last:
            last = place
    return last + 1
