"""Take the pictures of "From a stick to an answer" again: a person at a desktop installs, asks, and looks at results.

Everything that they show happens: in a Debian 12 in a folder, without a network, with the file manager, terminal and
panel that Raspberry Pi OS has, too, and Debian's package installer. xdotool moves the mouse and presses the keys.

    python docs/tutorials/from_stick_to_answer.py STICK --root /tmp/desktop

STICK is a folder with the installer of the signed starter kit for this machine's processor, both files of it. Needs
debootstrap, a Debian mirror the first time, a kernel with overlayfs, and to be the administrator.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PICTURES = Path(__file__).absolute().parent.parent / "assets" / "walk"
COLOURS = 48
"""Of a picture: a desktop and its letters need no more."""
PACKAGES = """
    xvfb openbox lxpanel lxmenu-data pcmanfm lxterminal gdebi pkexec polkitd dbus dbus-x11 sudo xdg-user-dirs procps
    desktop-file-utils file lxde-icon-theme fonts-dejavu-core xdotool imagemagick
"""

ENTER = """
set -e
mount -t tmpfs -o size=4g,mode=755 walk "$2"
mkdir "$2/changed" "$2/work" "$2/all"
mount -t overlay -o "lowerdir=$1,upperdir=$2/changed,workdir=$2/work" walk "$2/all"
cd "$2/all"
mount -t proc proc proc
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount --bind dev/pts/ptmx dev/ptmx
mount -t tmpfs -o mode=755 run run
mkdir -p media/worker/STICK pictures
mount -t tmpfs -o size=1g walk media/worker/STICK
cp "$3"/* media/worker/STICK
mount --bind "$4" pictures
cp "$5" walk.py
hostname laptop
exec chroot . env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 python3 walk.py
"""
"""Arguments: the root, an empty folder, the stick, the folder for pictures, this file. The root is not changed."""

DISPLAY = {"DISPLAY": ":0"}
WORKER = {
    **DISPLAY,
    "HOME": "/home/worker",
    "USER": "worker",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "XDG_RUNTIME_DIR": "/run/user/1000",
    "XDG_CURRENT_DESKTOP": "LXDE",
}
SOCKETS = Path("/tmp/.X11-unix")  # noqa: S108 - the one place for it
STICK = "/media/worker/STICK"
INSTALLER = f"edgefuse-starter-1-linux-{os.uname().machine}.run"
INSTALLED = Path("/home/worker/.local/share/edgefuse")
PACKAGE, ICON, MENU = (398, 170), (60, 40), (30, 624)
"""Where they are on the screen."""
SESSION = "xdg-user-dirs-update; openbox & pcmanfm --desktop & lxpanel & exec sleep infinity"
FILES = {
    "/etc/polkit-1/rules.d/10-administrators.rules": (
        "polkit.addRule(function(action, subject) {"
        ' if (subject.isInGroup("sudo")) return polkit.Result.YES; });\n'  # no one is there to type a password
    ),
    "/home/worker/.config/pcmanfm/default/desktop-items-0.conf": (
        "[*]\nwallpaper_mode=color\ndesktop_bg=#46627f\ndesktop_fg=#ffffff\ndesktop_shadow=#22303f\n"
        "desktop_font=DejaVu Sans 11\n"
    ),
    "/home/worker/.config/libfm/libfm.conf": "[config]\nterminal=lxterminal\n",
    "/home/worker/.config/lxterminal/lxterminal.conf": "[general]\nfontname=Monospace 10\n",
    "/home/worker/.bashrc": "PS1='\\u@\\h:\\w\\$ '\n",
    "/home/worker/.config/lxpanel/default/panels/panel": (
        "Global {\n edge=bottom\n widthtype=percent\n width=100\n height=30\n}\n"
        "Plugin {\n type=menu\n Config {\n name=Menu\n system {\n }\n }\n}\n"
        "Plugin {\n type=taskbar\n expand=1\n Config {\n ShowAllDesks=1\n MaxTaskWidth=300\n }\n}\n"
    ),
}


def main(stick: Path, root: Path) -> None:
    """Make the desktop if there is none, walk in it, and put the pictures where the documentation has them."""
    if not root.exists():
        make_desktop(root)
    PICTURES.mkdir(parents=True, exist_ok=True)
    taken = tempfile.mkdtemp(prefix="walk-")
    with tempfile.TemporaryDirectory() as place:
        command = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--propagation=private", "sh", "-c"]
        paths = (root.absolute(), place, stick.absolute(), taken, Path(__file__).absolute())
        done = subprocess.run([*command, ENTER, "sh", *map(str, paths)], check=False)
    if done.returncode != 0:
        sys.exit(f"The walk ended with {done.returncode}; no picture was replaced, and those it took are in {taken}.")
    for picture in sorted(Path(taken).iterdir()):
        shrink(picture, PICTURES / picture.name)
    shutil.rmtree(taken)


def make_desktop(root: Path) -> None:
    """A Debian with what a desktop needs."""
    from edgefuse_packaging.root import bare_root

    made = root.with_name(f".{root.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    run("cp", "--archive", str(bare_root(os.uname().machine)), str(made))
    for words in ("update", f"install --yes --no-install-recommends {PACKAGES}"):
        run("chroot", str(made), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *words.split())
    made.rename(root)


def shrink(picture: Path, output: Path) -> None:
    """Write a picture with few colours."""
    from PIL import Image

    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(output, optimize=True)
    print(f"{output}: {output.stat().st_size} bytes")


def walk() -> None:
    """Inside: what the person does."""
    begin()
    start("pcmanfm", STICK)
    window("STICK", 192, 53)
    shoot("stick")
    with_a_double_click()
    with_one_command()
    ask()
    look_at_results()
    half_copied()


def with_a_double_click() -> None:
    """The package for everyone; then away with it."""
    mouse(*PACKAGE, clicks=2)
    window("Package Installer", 250, 100)
    shoot("package")
    mouse(730, 168)  # Install Package
    until(lambda: "ok installed" in said("dpkg-query", "--show", "--showformat=${Status}", "edgefuse"))
    settle()
    shoot("package-installed")
    for place in ((481, 301), (541, 10), MENU):  # both windows are closed, and the menu is opened
        mouse(*place)
        settle()
    keys("Down", "Right")
    settle()
    shoot("menu")
    keys("Escape", "Escape")
    run("dpkg", "--purge", "edgefuse")


def with_one_command() -> None:
    """The installer for one user, in a terminal that begins on the stick."""
    window("STICK", 192, 53)
    keys("F4")
    window("LXTerminal", 190, 40)
    type_line(f"sh {INSTALLER}")
    until(lambda: "kits install" in said("ps", "-e", "-o", "args"))
    settle(5)  # it checks the signature, and asks
    shoot("fingerprint", "860x520")
    type_line("y")
    until((INSTALLED / "bin" / "edgefuse-uninstall").exists)
    settle()
    shoot("installed", "860x520")
    keys("alt+F4", "alt+F4")


def ask() -> None:
    """The icon, a picture, a note, and the answer."""
    for number, sample in enumerate((0, 5, 4), start=1):  # of golden samples, which are drawn
        picture = Path(f"/home/worker/Pictures/mark-{number}.png")
        shutil.copyfile(INSTALLED / "kits" / "starter" / "1" / "golden" / f"{sample}.png", picture)
        os.utime(picture, (time.time() - 3600 * (4 - number),) * 2)
    mouse(*ICON, clicks=2)
    window("Execute File", 120, 200)
    shoot("icon", "860x520")
    keys("Return")
    window("edgefuse-ask", 190, 40)
    shoot("pictures", "860x520")
    for words in ("1", "Man, 75 years, right forearm.", "Brand new, it was not there a month ago.", "", "A-17"):
        type_line(words)
    settle(4)
    shoot("answer", "860x520")
    for words in ("", "2", "Woman, 77 years, left forearm. It started a few days ago.", "", "A-18"):
        type_line(words)
    settle(4)
    type_line("q")
    type_line("")


def look_at_results() -> None:
    """What was stored."""
    start("lxterminal")
    window("LXTerminal", 190, 40)
    type_line("~/.local/bin/edgefuse results list")
    settle(3)
    shoot("results", "860x520")
    type_line("clear")


def half_copied() -> None:
    """A stick that was pulled out too early."""
    with Path(STICK, INSTALLER).open("rb") as whole, Path("/home/worker/Downloads", INSTALLER).open("wb") as half:
        half.write(whole.read(120_000_000))
    type_line("cd ~/Downloads")
    type_line("clear")
    type_line(f"sh {INSTALLER}")
    settle(3)
    shoot("half-copied", "860x520")


def begin() -> None:
    """A user, who has drawn pictures, and his desktop."""
    run("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", "worker")
    for path, text in FILES.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    Path("/run/user/1000").mkdir(parents=True)
    Path("/run/dbus").mkdir()
    SOCKETS.mkdir()
    run("chown", "-R", "worker:worker", "/home/worker", "/run/user/1000", str(SOCKETS))
    run("dbus-daemon", "--system", "--fork")
    start("Xvfb", ":0", "-screen", "0", "1024x640x24", "-nolisten", "tcp")
    until((SOCKETS / "X0").exists)
    start("dbus-run-session", "sh", "-c", SESSION)
    until(lambda: said("xdotool", "get_desktop") != "")  # which the window manager tells
    settle(4)


def start(*words: str) -> None:
    """Have the worker start a program."""
    command = ["setpriv", "--reuid=worker", "--regid=worker", "--init-groups", *words]
    quiet = subprocess.DEVNULL
    subprocess.Popen(command, env=WORKER, cwd="/home/worker", stdout=quiet, stderr=quiet)


def window(title: str, x: int, y: int) -> None:
    """Wait for a window whose title holds `title`, put it there, and give it the keys."""
    found = ["search", "--sync", "--onlyvisible", "--name", title]
    run("xdotool", *found, "windowactivate", "windowmove", str(x), str(y))
    mouse(1000, 590, clicks=0)
    settle()


def run(*words: str) -> None:
    """Run a program as the administrator, who sees the worker's screen."""
    subprocess.run(words, check=True, env=os.environ | DISPLAY, stdout=subprocess.DEVNULL, timeout=1200)


def said(*words: str) -> str:
    """What a program says on stdout."""
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | DISPLAY).stdout


def keys(*names: str) -> None:
    """Press keys, as xdotool names them."""
    for name in names:
        run("xdotool", "key", name)
        time.sleep(0.5)


def type_line(words: str) -> None:
    """Type words and Enter."""
    run("xdotool", "type", "--delay", "30", words)
    keys("Return")


def mouse(x: int, y: int, clicks: int = 1) -> None:
    """Click there."""
    click = ["click", "--repeat", str(clicks), "--delay", "80", "1"] if clicks else []
    run("xdotool", "mousemove", str(x), str(y), *click)


def screen(size: str = "1024x640") -> bytes:
    """What is seen now in the upper left `size` of the screen, as a PNG."""
    words = ["import", "-window", "root", "-crop", f"{size}+0+0", "+repage", "png:-"]
    return subprocess.run(words, env=os.environ | DISPLAY, check=True, capture_output=True).stdout


def shoot(name: str, size: str = "1024x640") -> None:
    """Take a picture."""
    Path("/pictures", f"{name}.png").write_bytes(screen(size))


def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            shoot("waited-in-vain")
            raise TimeoutError(f"{condition} did not become true in {seconds} s")
        time.sleep(0.3)


def settle(seconds: float = 2) -> None:
    """Wait until the screen has been the same for so long."""
    seen, since = screen(), time.monotonic()
    while time.monotonic() < since + seconds:
        time.sleep(0.3)
        now = screen()
        if now != seen:
            seen, since = now, time.monotonic()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        walk()
    else:
        asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
        asked.add_argument("stick", type=Path, help="the folder that stands for the stick")
        asked.add_argument("--root", type=Path, required=True, help="the Debian with a desktop; made if it is missing")
        main(**vars(asked.parse_args()))
