"""What a person starts: the command, the icon, the way back, and the way out. Run by a new installation's Python."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from edgefuse_packaging.device.versions import sync_folder

SYSTEM_LINKS, SYSTEM_MENU = Path("/usr/local/bin"), Path("/usr/share/applications")
"""The menu's folder below /usr/local is missing on a new system, and a desktop looks into no folder that was missing
when it began."""

COMMAND = """\
#!/bin/sh
# Starts the edgefuse that is current.
ROOT={root}
if [ ! -x "$ROOT/current/bin/python" ]; then
    echo "edgefuse: the Python that it was installed for has gone; run the installer again." >&2
    exit 1
fi
unset PYTHONPATH PYTHONHOME
{kit}
exec "$ROOT/current/bin/python" -I -m {module} "$@"
"""

OWN_KITS = """\
export EDGEFUSE_HOME="${EDGEFUSE_HOME:-$ROOT}"\
"""

KIT_FOR_EVERYONE = """\
home="${EDGEFUSE_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/edgefuse}"
if [ -z "${EDGEFUSE_KIT-}" ] && [ ! -e "$home/active-kit" ] && [ -r "$ROOT/active-kit" ]; then
    EDGEFUSE_KIT="$(cat "$ROOT/active-kit")"
    export EDGEFUSE_KIT
fi\
"""

ASK = """\
#!/bin/sh
# What the icon opens: questions and an answer, in a terminal that stays open.
{command} ask
printf '\\nPress Enter to close this window.'
read -r _
"""

UNINSTALL = """\
#!/bin/sh
# Removes edgefuse and its kits. What was answered stays, and what the next kit is held against: whose keys are trusted,
# and the highest version of each kit.
ROOT={root}
rm -f {links}
for name in versions current previous bin installer .installing objects active-kit; do
    rm -rf "$ROOT/$name"
done
for kit in "$ROOT"/kits/* "$ROOT"/kits/.[!.]*; do
    [ "${{kit##*/}}" = highest.json ] || rm -rf "$kit"
done
cache="${{XDG_CACHE_HOME:-$HOME/.cache}}/edgefuse"
rm -rf "$cache/probes" "$cache/text-cache"  # a workshop keeps other things there
rmdir "$cache" "$ROOT/kits" "$ROOT" 2>/dev/null
echo "edgefuse is removed."
if [ -e "$ROOT/results" ]; then
    echo "The results stay in $ROOT."
fi
if [ -e "$ROOT/trusted_keys" ] || [ -e "$ROOT/kits/highest.json" ]; then
    echo "The trusted keys (trusted_keys) and the highest version of each kit (kits/highest.json) stay in $ROOT,"
    echo "since the next kit is held against them; remove these files to forget them."
fi
"""

ENTRY = """\
[Desktop Entry]
Type=Application
Name=edgefuse
Comment=Ask about a picture and a note
Icon=applications-science
Exec={command}
Terminal=true
Categories=Education;Science;MedicalSoftware;
"""


def write_starters(root: Path, *, is_system: bool) -> None:
    """Make the programs in `root`/bin.

    Args:
        root: of the installation, an absolute path.
        is_system: whether it is for everyone: then its kit is that of all, and each user's results are in his own home.
    """
    programs = root / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    quoted = shlex.quote(str(root))
    command = shlex.quote(str(programs / "edgefuse"))
    kit = KIT_FOR_EVERYONE if is_system else OWN_KITS
    modules = {"edgefuse": "edgefuse", "edgefuse-rollback": f"edgefuse_packaging.device.rollback {quoted}"}
    for name, module in modules.items():
        _program(programs / name, COMMAND.format(root=quoted, module=module, kit=kit))
    _program(programs / "edgefuse-ask", ASK.format(command=command))


def write_uninstall(root: Path, links: list[Path]) -> None:
    """Make `root`/bin/edgefuse-uninstall, which also removes `links`."""
    text = UNINSTALL.format(root=shlex.quote(str(root)), links=" ".join(shlex.quote(str(link)) for link in links))
    _program(root / "bin" / "edgefuse-uninstall", text)


def place_links(root: Path, commands: Path, menus: list[Path]) -> list[Path]:
    """Make the command and the icons known.

    Args:
        root: of the installation.
        commands: a folder that is searched for commands.
        menus: folders that hold icons.

    Returns:
        What was made; another program of the same name stays.
    """
    commands.mkdir(parents=True, exist_ok=True)
    link = commands / "edgefuse"
    made = []
    if not link.exists() or link.resolve().with_name("edgefuse-ask").exists():  # none, dangling, or ours
        new = commands / ".edgefuse.new"
        new.unlink(missing_ok=True)
        new.symlink_to(root / "bin" / "edgefuse")
        new.replace(link)
        made.append(link)
    entries = [menu / "edgefuse.desktop" for menu in menus]
    for entry in entries:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _program(entry, ENTRY.format(command=_desktop_quoted(str(root / "bin" / "edgefuse-ask"))))
    return [*made, *entries]


def user_places(environment: Mapping[str, str]) -> tuple[Path, list[Path]]:
    """Where this user's commands and icons belong; the desktop only where there is one."""
    data = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    menus = [data / "applications"]
    desktop = _desktop_folder()
    if desktop is not None:
        menus.append(desktop)
    return Path.home() / ".local" / "bin", menus


def _desktop_folder() -> Path | None:
    asked = shutil.which("xdg-user-dir")
    if asked is None:
        return None
    folder = Path(subprocess.run([asked, "DESKTOP"], capture_output=True, text=True, check=False).stdout.strip())
    return folder if folder.is_dir() and folder != Path.home() else None


def _desktop_quoted(word: str) -> str:
    """One word of a desktop entry's Exec key, by the freedesktop.org specification."""
    for special in ("\\", '"', "`", "$"):
        word = word.replace(special, "\\" + special)
    return '"' + word.replace("\\", "\\\\").replace("%", "%%") + '"'


def _program(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(0o755)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def main(arguments: list[str]) -> None:
    """`ROOT --user | --system [--no-menu]`."""
    root, is_system = Path(arguments[0]), "--system" in arguments
    write_starters(root, is_system=is_system)
    links: list[Path] = []
    if "--no-menu" not in arguments:
        places = (SYSTEM_LINKS, [SYSTEM_MENU]) if is_system else user_places(os.environ)
        links = place_links(root, *places)
    write_uninstall(root, links)


if __name__ == "__main__":
    main(sys.argv[1:])
