"""Long work beside the event loop."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from streamer.aside import aside


def test_another_thread_works_and_gives_the_lock_back_more_often_meanwhile() -> None:
    usual_s = sys.getswitchinterval()
    thread, switch_s = asyncio.run(aside(lambda: (threading.get_ident(), sys.getswitchinterval())))
    assert thread != threading.get_ident()
    assert switch_s < usual_s / 5
    assert sys.getswitchinterval() == usual_s


def test_a_failure_is_told_and_leaves_the_interpreter_as_it_was() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    usual_s = sys.getswitchinterval()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(aside(fail))
    assert sys.getswitchinterval() == usual_s
