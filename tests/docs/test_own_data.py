"""A folder of pictures and a CSV file become a kit by the very commands that the pages give."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edgefuse.embeddings.table import open_table
from edgefuse.kits.kit import Kit

SAMPLES = 48

Blocks = Callable[[Path, str], list[str]]


@pytest.fixture
def mine(tmp_path: Path, tiny_encoders: Path, tiny_workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user, who stands in it: encoders `E`, pictures, `table.csv` as in the README, and a key."""
    with (tiny_workshop / "drawn" / "table.csv").open(encoding="utf-8", newline="") as file:
        drawn = list(csv.DictReader(file))[:SAMPLES]
    (tmp_path / "pictures").mkdir()
    for row in drawn:
        shutil.copy(tiny_workshop / "drawn" / row["image"], tmp_path / "pictures")
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("image", "text", "label", "group", "age", "sex", "complaint"))
        for k, row in enumerate(drawn):
            facts = (f"patient {k // 2}", 20 + k, "fm"[k % 2], "" if k % 3 else "It itches.")
            lines.writerow((Path(row["image"]).name, row["text"], row["label"], *facts))
    (tmp_path / "E").symlink_to(tiny_encoders)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (tmp_path / "kit-key").write_bytes(key)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "count"), [("README.md", 3), ("docs/how-to/use-your-own-pictures.md", 4)])
def test_the_commands_on_the_page_make_a_kit(
    mine: Path, root: Path, cli: Callable[..., Any], code_blocks: Blocks, page: str, count: int
) -> None:
    (block,) = [block for block in code_blocks(root / page, "sh") if "edgefuse pack" in block]
    commands = [shlex.split(line) for line in block.splitlines()]
    assert len(commands) == count
    for program, *arguments in commands:
        assert program == "edgefuse"
        outcome = cli(*arguments)
        assert outcome.code == 0, outcome.err
    assert Kit.open(mine / "my.kit").name == "my-kit"
    assert set(open_table(mine / "V").groups) == {f"patient {k}" for k in range(SAMPLES // 2)}
    answer = cli("classify", mine / "pictures" / "drawn-0000.png", "--note", "It itches.", "--kit", mine / "my.kit")
    assert answer.code == 0, answer.err


def test_the_template_on_the_page_makes_notes_of_columns(
    mine: Path, root: Path, cli: Callable[..., Any], code_blocks: Blocks
) -> None:
    (line,) = re.findall(
        r"^edgefuse (extract .*--template .*)$",
        "".join(code_blocks(root / "docs/how-to/use-your-own-pictures.md", "sh")),
        re.MULTILINE,
    )
    outcome = cli(*shlex.split(line), "--root", mine / "pictures")
    assert outcome.code == 0, outcome.err
    assert f"{SAMPLES} different notes" in outcome.err
    assert set(open_table(mine / "V").subgroups["sex"]) == {"f", "m"}
