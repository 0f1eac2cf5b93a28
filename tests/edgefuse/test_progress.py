"""Progress goes to stderr, changes no item, and is quiet where nobody watches."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from edgefuse.progress import bar, silent


def test_items_come_as_they_are_and_when_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for k in range(3):
            taken.append(k)
            yield k

    for progress in (silent, bar):
        taken.clear()
        steps = progress("pictures", items(), 3)
        assert taken == []
        assert next(steps) == 0
        assert len(taken) == 1
        assert list(steps) == [1, 2]
    assert capsys.readouterr().out == ""


def test_silent_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    list(silent("pictures", range(3), 3))
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_a_finished_step_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    list(bar("encoding pictures", range(1000), 1000))
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"encoding pictures: \d+\.\d s\n", err)


def test_a_step_that_fails_says_nothing_more(capfd: pytest.CaptureFixture[str]) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(bar("encoding pictures", items(), 2))
    assert capfd.readouterr() == ("", "")


def on_a_terminal(code: str) -> str:
    """What `code` writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says that the other end was closed by an error
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    out, _ = child.communicate()
    assert (child.returncode, out) == (0, b"")
    return shown.decode()


def test_on_a_terminal_a_bar_runs_to_its_end() -> None:
    shown = on_a_terminal("from edgefuse.progress import bar\nlist(bar('encoding pictures', range(4), 4))")
    assert "encoding pictures" in shown
    assert "4/4" in shown
    assert " s\n" not in shown


def test_on_a_terminal_a_single_item_ticks() -> None:
    code = "import time\nfrom edgefuse.progress import bar\nfor _ in bar('packing', [None], 1):\n    time.sleep(0.5)"
    shown = on_a_terminal(code)
    assert "packing ... 0 s" in shown
    assert re.search(r"packing: 0\.\d s\r\n$", shown)


def test_on_a_terminal_a_single_item_that_fails_leaves_no_clock_behind() -> None:
    code = (
        "import threading\nfrom edgefuse.progress import bar\n"
        "steps = bar('packing', [None], 1)\nnext(steps)\nsteps.close()\nassert threading.active_count() == 1"
    )
    assert "packing: " not in on_a_terminal(code)


def test_bytes_are_told_where_items_have_a_size(capfd: pytest.CaptureFixture[str]) -> None:
    steps = bar("writing", [2_000_000, 5_160_000], 7_160_000, size=lambda item: item)
    assert list(steps) == [2_000_000, 5_160_000]
    assert re.fullmatch(r"writing: 7\.2 MB, \d+\.\d s\n", capfd.readouterr().err)


def test_a_terminal_shows_how_many_bytes_are_done() -> None:
    shown = on_a_terminal(
        "from edgefuse.progress import bar\nlist(bar('writing', [10**9, 6 * 10**9], 7 * 10**9, size=lambda item: item))"
    )
    assert "7.00 GB of 7.00 GB" in shown
    assert "#]" in shown


@pytest.mark.parametrize(
    "step",
    [
        "list(bar('encoding pictures', range(1000), 1000))",
        "list(bar('copying into the kit', [4_000_000_000] * 3, 12_000_000_000, size=int))",
        "with moved('splitting', 1000) as move: move(1000)",
    ],
)
def test_no_line_is_longer_than_a_terminals(step: str) -> None:
    shown = on_a_terminal(f"from edgefuse.progress import bar, moved\n{step}")
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", shown))
    assert "#]" in shown
    assert max(map(len, lines)) <= 80
