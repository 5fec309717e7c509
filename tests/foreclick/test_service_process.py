"""What holds for any service, shown on small programs in a server's place."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from foreclick.errors import DiskFull, PortTaken, ServiceError
from foreclick.services.process import ServiceProcess, free_port, require_free_disk, require_free_port


class Program(ServiceProcess):
    """Runs a Python text; "answers" when the text has made the file `ready`."""

    title = "The program"
    port_option = "--port"

    def __init__(self, directory: Path, text: str) -> None:
        super().__init__(directory, 0, temporary=False)
        self._text = text

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._text]

    def answers(self) -> bool:
        return (self.directory / "ready").exists()


RUNS_ON = (
    "import pathlib, sys; {}; pathlib.Path('ready').touch(); sys.stdin.close(); import signal; signal.pause()"
)


def test_the_last_words_of_a_program_that_ends_at_its_start_are_given(tmp_path: Path) -> None:
    program = Program(tmp_path, "print('first', flush=True); raise SystemExit('the moon is full')")
    with pytest.raises(ServiceError, match=r"ended at its start: the moon is full \(in .*service\.log\)"):
        program.start()
    assert not program.running


@pytest.mark.parametrize(
    ("words", "error", "cure"),
    [
        ("java.io.IOException: No space left on device", DiskFull, "name another directory with --data"),
        ("bind: Address already in use", PortTaken, "choose another with --port"),
    ],
)
def test_known_last_words_become_errors_with_a_cure(
    tmp_path: Path, words: str, error: type[ServiceError], cure: str
) -> None:
    with pytest.raises(error, match=cure):
        Program(tmp_path, f"raise SystemExit({words!r})").start()


def test_a_disk_with_too_little_room_is_named(tmp_path: Path) -> None:
    require_free_disk(tmp_path, "Kafka", least_bytes=1)
    with pytest.raises(DiskFull, match=f"Kafka needs .* under {tmp_path}; free some"):
        require_free_disk(tmp_path, "Kafka", least_bytes=2**62)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"cannot start The program in .*: Not a directory"):
        Program(tmp_path / "file" / "below", "").start()


def test_passwords_of_the_parent_stay_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECLICK_KAFKA_SASL_PASSWORD", "hush-hush")
    monkeypatch.setenv("LANG", "C.UTF-8")
    program = Program(tmp_path, RUNS_ON.format("import os; print(dict(os.environ), flush=True)"))
    program.start()
    said = program.log_path.read_text(encoding="utf-8")
    program.stop()
    assert "hush-hush" not in said
    assert "C.UTF-8" in said


def test_a_program_has_the_variables_of_its_own_class(tmp_path: Path) -> None:
    program = Program(tmp_path, RUNS_ON.format("import os; print(os.environ['TUNED'], flush=True)"))
    program.variables = {"TUNED": "for many chunks"}
    program.start()
    said = program.log_path.read_text(encoding="utf-8")
    program.stop()
    assert "for many chunks" in said


def test_stop_lets_a_program_finish_and_kill_does_not(tmp_path: Path) -> None:
    heed = "import atexit, signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); "
    heed += "atexit.register(lambda: pathlib.Path('goodbye').touch())"
    program = Program(tmp_path, RUNS_ON.format(heed))
    for end, expected in ((program.kill, False), (program.stop, True)):
        (tmp_path / "ready").unlink(missing_ok=True)
        program.start()
        pid = program.pid
        end()
        assert not psutil.pid_exists(pid)
        assert (tmp_path / "goodbye").exists() == expected


def test_a_running_program_is_not_started_twice(tmp_path: Path) -> None:
    program = Program(tmp_path, RUNS_ON.format("pass"))
    program.start()
    with pytest.raises(ServiceError, match="is running already"):
        program.start()
    program.kill()
    program.kill()


def test_two_services_never_share_a_directory(tmp_path: Path) -> None:
    first, second = (Program(tmp_path, RUNS_ON.format("pass")) for _ in range(2))
    first.start()
    with pytest.raises(
        ServiceError, match=f"another The program runs on {tmp_path}; stop it or name another"
    ):
        second.start()
    first.kill()
    second.start()
    second.kill()


def test_free_ports_do_not_follow_from_a_seed() -> None:
    ports = set()
    for _ in range(4):
        random.seed(0)
        ports.add(free_port())
    assert len(ports) > 1


def test_free_ports_are_free_and_below_those_of_outgoing_connections() -> None:
    for port in {free_port() for _ in range(20)}:
        assert 20_000 <= port < 32_000
        require_free_port(port, "Kafka", "--kafka-port")
