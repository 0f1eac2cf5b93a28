"""The script that times start-up, with a few runs."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from click import ClickException
from click.testing import CliRunner


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/compare_start_up.py")


def test_it_prints_both_times_and_their_ratio(script: ModuleType) -> None:
    outcome = CliRunner().invoke(script.main, ["--count", "4"])

    assert outcome.exit_code == 0, outcome.output
    rows = {line[:34].strip(): line[34:].split() for line in outcome.stdout.splitlines()[1:]}
    assert list(rows) == [
        f"{what}, {figure}" for figure in ("cpu", "wall") for what in ("edgefuse --help", "import click", "ratio")
    ]
    assert all(float(fields[0]) > 0 for fields in rows.values())


def test_a_command_that_fails_is_no_measurement(script: ModuleType) -> None:
    with pytest.raises(ClickException, match="exit code 3"):
        script.run([script.sys.executable, "-c", "raise SystemExit(3)"])
