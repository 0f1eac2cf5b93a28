"""The command, the icon and the way out that an installation gets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from edgefuse_packaging.device import starters

SHOW = '#!/bin/sh\necho "kit=$EDGEFUSE_KIT home=$EDGEFUSE_HOME path=$PYTHONPATH args=$*"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An installation whose Python tells how it was called; its name holds all that a shell could trip over."""
    root = tmp_path / 'it\'s $HOME `id` "x"'
    python = root / "current" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(SHOW)
    python.chmod(0o755)
    return root


def call(program: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "HOME": "/home/me", "PYTHONPATH": "/mine"} | environment
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, env=settings)


def test_for_one_user_kits_and_results_are_in_the_installations_folder(root: Path) -> None:
    starters.write_starters(root, is_system=False)

    said = call(root / "bin" / "edgefuse", "classify", "a b").stdout

    assert said == f"kit= home={root} path= args=-I -m edgefuse classify a b\n"


def test_for_everyone_the_kit_is_in_the_installation_unless_the_user_chose_another(root: Path, tmp_path: Path) -> None:
    starters.write_starters(root, is_system=True)
    command = root / "bin" / "edgefuse"

    assert call(command).stdout == "kit= home= path= args=-I -m edgefuse\n"
    (root / "active-kit").write_text(f"{root}/kits/a 'b'\n")
    assert call(command).stdout == f"kit={root}/kits/a 'b' home= path= args=-I -m edgefuse\n"
    assert "kit=/mine.kit " in call(command, EDGEFUSE_KIT="/mine.kit").stdout
    (tmp_path / "active-kit").write_text("/other.kit\n")
    assert "kit= " in call(command, EDGEFUSE_HOME=str(tmp_path)).stdout


def test_a_python_that_has_gone_is_a_sentence(root: Path) -> None:
    starters.write_starters(root, is_system=False)
    (root / "current" / "bin" / "python").unlink()

    done = call(root / "bin" / "edgefuse")

    assert done.returncode == 1
    assert done.stderr == "edgefuse: the Python that it was installed for has gone; run the installer again.\n"


def test_the_icon_quotes_the_program_as_the_specification_says(tmp_path: Path) -> None:
    root = tmp_path / 'a "b" $c %d'

    _, entry = starters.place_links(root, tmp_path / "bin", [tmp_path / "menu"])

    assert f'Exec="{tmp_path}/a \\\\"b\\\\" \\\\$c %%d/bin/edgefuse-ask"' in entry.read_text()


def test_a_command_that_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "edgefuse").write_text("another program")

    assert starters.place_links(tmp_path / "root", tmp_path, []) == []

    assert (tmp_path / "edgefuse").read_text() == "another program"


def test_a_link_to_another_program_stays_and_one_of_an_installation_is_led_anew(tmp_path: Path) -> None:
    other, link = tmp_path / "venv" / "bin" / "edgefuse", tmp_path / "edgefuse"
    other.parent.mkdir(parents=True)
    other.write_text("another program")
    link.symlink_to(other)
    new = tmp_path / "new"
    starters.write_starters(new, is_system=False)

    assert starters.place_links(new, tmp_path, []) == []
    assert link.resolve() == other

    starters.write_starters(tmp_path / "old", is_system=False)
    link.unlink()
    link.symlink_to(tmp_path / "old" / "bin" / "edgefuse")
    assert starters.place_links(new, tmp_path, []) == [link]
    assert link.resolve() == new / "bin" / "edgefuse"


def test_uninstalling_keeps_what_a_workshop_has_in_the_same_cache(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("probes", "text-cache", "wheels"):
        (cache / "edgefuse" / name).mkdir(parents=True)
    starters.write_starters(root, is_system=False)
    link, entry = starters.place_links(root, tmp_path / "bin", [tmp_path / "menu"])
    starters.write_uninstall(root, [link, entry])

    done = call(root / "bin" / "edgefuse-uninstall", XDG_CACHE_HOME=str(cache))

    assert done.stdout == "edgefuse is removed.\n", done.stderr
    assert not root.exists()
    assert not link.is_symlink()
    assert not entry.exists()
    assert [path.name for path in (cache / "edgefuse").iterdir()] == ["wheels"]
