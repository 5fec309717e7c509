"""How a replay was asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from producers.pacing import AtOnce, FixedRate, LogGaps, Pacing
from producers.readers.values import iso_ms, whole_number
from producers.selection import Selection, UserSample, users_in
from producers.survey import Survey

AT_ONCE: Final = "max"


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """The options of ``foreclick replay``; its help says what they mean."""

    speed: str = "1"
    rate: float | None = None
    max_gap_s: float = 60.0
    from_time: str | None = None
    to_time: str | None = None
    users: str | None = None
    loops: int = 1
    shift_to_now: bool = False
    sort: bool = False
    sort_directory: Path | None = None
    allow_disorder_s: float = 60.0
    checkpoint: Path | None = None
    resume: bool = False

    def pacing(self) -> Pacing:
        """Make the schedule. Raises `typer.BadParameter` where the options do not fit."""
        if self.rate is not None:
            if self.speed != "1":
                raise typer.BadParameter("give --speed or --rate, not both")
            if not self.rate > 0:
                raise typer.BadParameter("--rate must be over 0")
            return FixedRate(self.rate)
        if self.speed == AT_ONCE:
            return AtOnce()
        if not self.max_gap_s > 0:
            raise typer.BadParameter("--max-gap must be over 0")
        return LogGaps(self.factor, self.max_gap_s)

    @property
    def factor(self) -> float:
        """Log time over time. Raises `typer.BadParameter` where --speed is no number over 0."""
        try:
            factor = float(self.speed)
        except ValueError:
            factor = 0.0
        if not 0.0 < factor < float("inf"):
            raise typer.BadParameter(f"--speed is a number over 0, or {AT_ONCE}; not {self.speed!r}")
        return factor

    @property
    def gap_limit_ms(self) -> float:
        """The longest gap in the log that is not cut, in the log's milliseconds."""
        if self.rate is not None or self.speed == AT_ONCE:
            return float("inf")
        return self.max_gap_s * 1_000.0 * self.factor

    @property
    def tolerance_ms(self) -> int:
        """How late a line may be in a log that is in order."""
        return int(self.allow_disorder_s * 1_000.0)

    def sending_ms(self, survey: Survey) -> float:
        """Say how long it takes to send the log once, as far as that can be known."""
        if self.rate is not None:
            return survey.events / self.rate * 1_000.0
        return 0.0 if self.speed == AT_ONCE else (survey.span_ms - survey.ms_over_limit) / self.factor

    def sample(self) -> UserSample | None:
        """Make the sample that --users N asks for."""
        return UserSample(int(self.users)) if self.users is not None and self.users.isdecimal() else None

    def selection(self, sample: UserSample | None = None) -> Selection:
        """Make the selection, of the users in ``sample`` once it has seen the log. Raises `LogError`."""
        users = None
        if sample is not None:
            users = sample.users
        elif self.users is not None and not self.users.isdecimal():
            users = users_in(Path(self.users))
        return Selection(_time(self.from_time, "--from"), _time(self.to_time, "--to"), users)


def _time(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    value = whole_number(text)
    if isinstance(value, str):
        value = iso_ms(text)
    if not isinstance(value, int):
        raise typer.BadParameter(f"{option} is a time such as 2019-10-01T00:00:00Z, or Unix ms; not {text!r}")
    return value
