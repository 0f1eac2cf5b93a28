"""Times are told together with how far they can be trusted."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgefuse.results import clock
from edgefuse_runtimes.errors import BadInput


def test_a_moment_is_that_of_the_system() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    moment = clock.now()
    assert before <= datetime.fromisoformat(moment.time) <= datetime.now(UTC)
    assert moment.time.endswith("Z")
    assert len(moment.time) == len("2026-11-28T23:37:08.123Z")
    assert moment.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert moment.since_boot_s == pytest.approx(float(Path("/proc/uptime").read_text().split()[0]), abs=60)


@pytest.mark.parametrize(
    ("state", "status", "is_marked", "expected"),
    [
        (0, 0x2001, False, True),
        (5, 0x0040, False, False),
        (5, 0x0040, True, True),  # systemd-timesyncd set it, hours ago
        (-1, 0, False, None),  # a container that forbids the question
        (-1, 0, True, True),
    ],
)
def test_the_kernel_and_systemd_say_whether_the_clock_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: int, status: int, is_marked: bool, expected: bool | None
) -> None:
    def adjtimex(timex: ctypes.Array[ctypes.c_char]) -> int:
        timex[40:44] = status.to_bytes(4, "little")
        return state

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(adjtimex=adjtimex))
    monkeypatch.setattr(clock, "SYNCED_FILE", tmp_path / "synchronized")
    if is_marked:
        clock.SYNCED_FILE.touch()
    assert clock.is_synchronised() is expected


def test_the_real_kernel_is_asked_without_changing_anything() -> None:
    assert clock.is_synchronised() in (True, False, None)


@pytest.fixture
def _in_kolkata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_kolkata")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("2026-11-28", "2026-11-27T18:30:00.000Z"),
        ("2026-11-28T14:30", "2026-11-28T09:00:00.000Z"),
        (" 2026-11-28 14:30 ", "2026-11-28T09:00:00.000Z"),
        ("2026-11-28T14:30:00Z", "2026-11-28T14:30:00.000Z"),
    ],
)
def test_people_write_times_of_their_own_zone(words: str, expected: str) -> None:
    assert clock.parse_time(words, "--since") == expected


@pytest.mark.usefixtures("_in_kolkata")
def test_times_are_shown_in_that_zone() -> None:
    assert clock.local("2026-11-27T18:30:00.000Z") == "2026-11-28 00:00"


@pytest.mark.parametrize("words", ["", "yesterday", "2026-13-01", "28.11.2026", "0001-01-01"])
def test_what_is_no_date_is_refused(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="write it as 2026-11-28"):
        clock.parse_time(words, "--since")
