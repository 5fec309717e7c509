"""Progress without a terminal, by a clock that the test moves."""

from __future__ import annotations

import io

from rich.console import Console

from foreclick.progress import shown_progress


def test_a_line_at_most_every_five_seconds_says_how_far_and_how_long() -> None:
    written = io.StringIO()
    seconds = [0.0]
    with shown_progress("reading", 200, Console(file=written), lambda: seconds[0]) as update:
        for done in range(0, 101, 10):
            seconds[0] = done / 10
            update(done, f"{done} lines")
    assert written.getvalue().splitlines() == [
        "reading: 25%  50 lines  about 15 s left",
        "reading: 50%  100 lines  about 10 s left",
    ]


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end() -> None:
    written = io.StringIO()
    with shown_progress("reading", 10, Console(file=written, force_terminal=True, width=80)) as update:
        update(5, "5 lines")
        assert "reading" in written.getvalue()
    assert "\x1b[2K" in written.getvalue()  # the code that clears a line
