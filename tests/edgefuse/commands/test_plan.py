"""`edgefuse plan` from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgefuse.commands.plan import command

pytestmark = pytest.mark.field

NAMED = ("--image-encoder", "dinov2-base", "--text-encoder", "llama-2-7b")


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_a_kit_on_this_machine_fits(tiny_kit: Path) -> None:
    outcome = plan("--kit", str(tiny_kit), "--json")
    said = json.loads(outcome.stdout)

    assert outcome.exit_code == 0, outcome.output
    assert (said["fits"], said["slow"], said["for_one"], said["device"]["is_here"]) == (True, False, "text-first", True)
    assert [moment["does"] for moment in said["options"][2]["moments"]] == [["photograph"], ["text"], ["image"]]


def test_parts_add_up_to_what_is_needed(tiny_kit: Path) -> None:
    said = json.loads(plan("--kit", str(tiny_kit), "--ram", "1G", "--disk", "8G", "--json").stdout)

    for option in said["options"]:
        assert option["memory_bytes"] == max(moment["memory_bytes"] for moment in option["moments"])
        for moment in option["moments"]:
            parts = moment["parts"]
            assert moment["memory_bytes"] == sum(parts.values()) - parts["mapped_bytes"]


def test_no_fit_ends_with_exit_code_7_and_says_what_helps() -> None:
    outcome = plan("--ram", "1G", "--disk", "4GB", *NAMED)

    assert outcome.exit_code == 7, outcome.output
    assert "does not fit" in outcome.stdout
    assert "need 6.8 GiB of disk, and 3.7 GiB are free" in outcome.stdout
    assert "What helps: text first, with SmolLM2-360M in q8_0." in outcome.stdout


def test_what_fits_but_is_slow_says_so() -> None:
    outcome = plan("--ram", "1G", "--disk", "16GB", *NAMED)

    assert outcome.exit_code == 0
    assert "fits, but slowly" in outcome.stdout
    assert "6.7 GiB are read from the disk for every answer" in " ".join(outcome.stdout.split())
    assert "13.3 GiB" in outcome.stdout


@pytest.mark.parametrize("ram", ["300M", "512M", "1G", "2G", "16G"])
@pytest.mark.parametrize("text", ["smollm2-135m", "llama-2-7b"])
def test_a_page_has_at_most_100_columns(ram: str, text: str) -> None:
    outcome = plan("--ram", ram, "--disk", "2G", "--image-encoder", "dinov2-giant", "--text-encoder", text)

    assert max(map(len, outcome.stdout.splitlines())) <= 100


def test_terminals_that_know_ascii_only_get_ascii(tiny_kit: Path) -> None:
    outcome = CliRunner(charset="ascii").invoke(command, ["--kit", str(tiny_kit)])

    assert outcome.stdout.isascii()
    assert "+ text first" in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--ram", "much"), "'much' is no size"),
        (("--disk", "0"), "'0' is no size"),
        (("--system", "1G"), "--system is a part of --ram"),
        (("--image-encoder", "dinov2-small"), "Give --kit, or both --image-encoder and --text-encoder."),
        (("--kit", "K", *NAMED), "Give --kit, or both --image-encoder and --text-encoder."),
    ],
)
def test_wrong_options_are_refused(arguments: tuple[str, ...], sentence: str) -> None:
    outcome = plan(*arguments)

    assert outcome.exit_code == 2
    assert sentence in outcome.stderr


def test_the_list_names_what_can_be_asked_for() -> None:
    rows = json.loads(plan("--list", "--json").stdout)["encoders"]

    assert [row["name"] for row in rows] == [line.split()[0] for line in plan("--list").stdout.splitlines()]
    assert {row["name"] for row in rows} > {"dinov2-small", "dinov2-giant", "clip-vit-b32-text", "llama-2-7b"}


def test_in_a_control_group_its_limit_is_what_there_is(tiny_kit: Path, memory_group: Callable[[int], Any]) -> None:
    command = [sys.executable, "-m", "edgefuse", "plan", "--kit", tiny_kit, "--json"]
    with memory_group(64 << 20) as run:
        outcome = run(command, capture_output=True, text=True, check=False)
    said = json.loads(outcome.stdout)

    assert "the limit of 64 MiB" in said["device"]["memory_words"]
    assert said["device"]["memory_bytes"] <= 64 << 20
    assert {option["key"]: option["fits"] for option in said["options"]}["normal"] is False
    assert outcome.returncode == (0 if said["fits"] else 7)
