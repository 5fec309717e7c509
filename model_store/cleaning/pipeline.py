"""A fitted pipeline: which rules an event meets, and what the encoder reads in its stead.

Stored in a model's artifact as `cleaning.json` (the rules) and `cleaning.npz` (plain arrays), and read back
without running anything that is in them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.cleaning.columns import Ends, event_columns, fast_users, price_columns, user_columns
from model_store.cleaning.detectors import Arrays, Detector, detector_of
from model_store.cleaning.known import Known, missing
from model_store.cleaning.rules import (
    EVENT_COLUMNS,
    USER_COLUMNS,
    Anomaly,
    Duplicate,
    Missing,
    Rule,
    rules_of,
)
from model_store.cleaning.twins import reach_ms, twin_bits
from model_store.errors import CleaningError, FileAbsentError, FileCorruptError
from model_store.lookback import LOOKBACK_EVENTS

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.windows import Rows

RULES_FILE: Final = "cleaning.json"
ARRAYS_FILE: Final = "cleaning.npz"

Bits = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class _Judging(NamedTuple):
    """A fitted anomaly rule, its bit, and where its columns stand."""

    bit: int
    rule: Anomaly
    detector: Detector
    places: slice | list[int]


class Cleaning:
    """The rules with what they have learned. It holds no state, so threads may share it.

    ``detectors`` has one entry for each rule: None for a rule that learns nothing, and for an anomaly rule
    that had too little to learn from, which then finds nothing. ``twin`` gives the bits of the duplicate
    rules that the event at a place of a packed window meets (`twin_bits`); no event meets one that is over
    ``twin_reach_ms`` younger than the event before it.
    """

    def __init__(self, rules: Sequence[Rule], known: Known, detectors: Sequence[Detector | None]) -> None:
        self.rules = tuple(rules)
        self.known = known
        self.detectors = tuple(detectors)
        self.drops_by_judgement = any(
            isinstance(rule, Anomaly | Missing) and rule.action == "drop" for rule in self.rules
        )
        twins = [(n, rule) for n, rule in enumerate(self.rules) if isinstance(rule, Duplicate)]
        self.twin_reach_ms = reach_ms([rule for _, rule in twins])
        self.twin = partial(twin_bits, rules=twins, reach_ms=self.twin_reach_ms)
        self._judging = [
            _Judging(1 << n, rule, detector, _places(rule))
            for n, (rule, detector) in enumerate(zip(self.rules, self.detectors, strict=True))
            if isinstance(rule, Anomaly) and detector is not None
        ]
        self._asked = frozenset(column for judging in self._judging for column in judging.rule.columns)
        self._missing = [(1 << n, rule) for n, rule in enumerate(self.rules) if isinstance(rule, Missing)]
        self.filling = [
            rule for _, rule in self._missing if rule.action == "repair" and rule.column != "session"
        ]
        self._price_repairs = [judging for judging in self._judging if judging.rule.action == "repair"]
        users = any(judging.rule.over_users for judging in self._judging)
        self._lookback_events = LOOKBACK_EVENTS if users else 1
        silent = [rule.action == "repair" and _is_session(rule) for rule in self.rules]
        self.told_bits = sum(1 << n for n, untold in enumerate(silent) if not untold)
        self.dropping_bits = sum(1 << n for n, rule in enumerate(self.rules) if rule.action == "drop")

    def judge(self, windows: Sequence[bytes]) -> Bits:
        """Return the bits [B] of the other rules that the last event of each packed window meets.

        A repairing rule is met where it changes what the encoder reads, and a missing session where there
        is none.
        """
        bits = np.zeros(len(windows), np.int64)
        if not len(windows):
            return bits
        ends = Ends.of(windows, self._lookback_events)
        rows = ends.events
        self._judge_missing(rows, bits)
        values = event_columns(ends, rows, self.known, self._asked)
        for bit, rule, detector, places in self._judging:
            if rule.over_users:
                chosen = fast_users(ends, rule)
                if len(chosen):
                    bits[chosen[detector.outlying(user_columns(ends, chosen)[:, places])]] |= bit
            else:
                bits[detector.outlying(values[:, places])] |= bit
        return bits

    def repaired(self, rows: Rows) -> Rows:
        """Return ``rows``, of any shape, as the encoder reads them; the same array if nothing is repaired.

        Whether a row is repaired, and how, depends on that row alone.
        """
        for _, rule, detector, places in self._price_repairs:
            values = price_columns(rows, self.known)[..., places]
            wrong = detector.outlying(values.reshape(-1, len(rule.columns))).reshape(rows.shape)
            if wrong.any():
                rows = rows.copy()
                rows["log_price"][wrong] = np.nan
        return self.known.filled(rows, self.filling)

    def labels(self, bits: int) -> tuple[str, ...]:
        """Return what a prediction says of an event that met the rules in ``bits``.

        Only those in ``told_bits`` are told: that a session is told by the gap rule says nothing.
        """
        met = bits & self.told_bits
        told = (rule.label for number, rule in enumerate(self.rules) if met >> number & 1)
        return tuple(dict.fromkeys(told))

    def first_dropping(self, bits: int) -> Rule:
        """Return the first dropping rule in ``bits``, which gives a dead letter its reason."""
        dropping = bits & self.dropping_bits
        return self.rules[(dropping & -dropping).bit_length() - 1]

    def save(self, directory: Path) -> None:
        """Write the pipeline into ``directory``."""
        (directory / RULES_FILE).write_bytes(
            msgspec.json.format(msgspec.json.encode({"rules": self.rules}), indent=1)
        )
        arrays: Arrays = {f"known.{name}": array for name, array in self.known._asdict().items()}
        for number, detector in enumerate(self.detectors):
            if detector is not None:
                arrays |= {f"rule_{number}.{name}": array for name, array in detector.arrays().items()}
        np.savez(directory / ARRAYS_FILE, allow_pickle=False, **arrays)

    def _judge_missing(self, rows: Rows, bits: Bits) -> None:
        repaired: Rows | None = None
        for bit, rule in self._missing:
            lacking = missing(rows, rule)
            if not lacking.any():
                continue
            if rule in self.filling:
                repaired = self.repaired(rows) if repaired is None else repaired
                lacking &= ~missing(repaired, rule)
            bits[lacking] |= bit


def cleaning_files(directory: Path) -> list[Path]:
    """Return the files of the pipeline in ``directory``; none where its model has none."""
    paths = [directory / RULES_FILE, directory / ARRAYS_FILE]
    return [path for path in paths if path.exists()]


def load_cleaning(directory: Path) -> Cleaning | None:
    """Return the pipeline in the artifact ``directory``, or None where its model has none.

    Raises `FileAbsentError` or `FileCorruptError`.
    """
    path = directory / RULES_FILE
    if not path.exists():
        return None
    try:
        rules = rules_of(msgspec.json.decode(path.read_bytes()))
        packed = io.BytesIO((directory / ARRAYS_FILE).read_bytes())
        with np.load(packed, allow_pickle=False) as stored:
            arrays = dict(stored)
        known = Known(**_under("known", arrays))
        detectors = [
            detector_of(rule, own)
            if isinstance(rule, Anomaly) and (own := _under(f"rule_{n}", arrays))
            else None
            for n, rule in enumerate(rules)
        ]
    except FileNotFoundError as error:
        raise FileAbsentError(f"the cleaning in {directory} is not whole: train the model again") from error
    except (
        CleaningError,
        msgspec.DecodeError,
        KeyError,
        TypeError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:
        raise FileCorruptError(
            f"the cleaning in {directory} cannot be read: train the model again"
        ) from error
    return Cleaning(rules, known, detectors)


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def _places(rule: Anomaly) -> slice | list[int]:
    """Return where the rule's columns stand among all of their kind; a slice copies less."""
    columns = USER_COLUMNS if rule.over_users else EVENT_COLUMNS
    places = [columns.index(column) for column in rule.columns]
    in_a_row = places == list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[-1] + 1) if in_a_row else places


def _is_session(rule: Rule) -> bool:
    return isinstance(rule, Missing) and rule.column == "session"
