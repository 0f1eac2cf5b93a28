"""Questions to a Raspberry Pi's firmware, on recorded answers and on programs that misbehave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.sensors import NotMeasurable, vcgencmd

pytestmark = pytest.mark.field

Recorded = Callable[[str], Path]


def program(root: Path, script: str, mode: int = 0o755) -> Path:
    path = root / "usr" / "bin" / "vcgencmd"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(mode)
    return root


def test_the_firmware_answers(recorded: Recorded) -> None:
    assert vcgencmd.vcgencmd("measure_clock", "arm", root=recorded("pi4")) == "frequency(48)=1141118000"


def test_what_is_no_raspberry_pi_is_not_asked(recorded: Recorded) -> None:
    with pytest.raises(NotMeasurable, match="This is no Raspberry Pi"):
        vcgencmd.vcgencmd("get_throttled", root=recorded("laptop"))


def test_a_raspberry_pi_without_the_program_is_told_how_to_get_it(recorded: Recorded) -> None:
    root = recorded("pi4")
    (root / "usr/bin/vcgencmd").unlink()
    with pytest.raises(NotMeasurable, match="sudo apt install raspi-utils"):
        vcgencmd.vcgencmd("get_throttled", root=root)


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcgencmd, "TIMEOUT_S", 0.2)
    root = program(tmp_path, "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(NotMeasurable, match=r"vcgencmd get_throttled did not answer within 0\.2 s"):
        vcgencmd.vcgencmd("get_throttled", root=root)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('echo "Can\'t open device file: /dev/vcio" >&2; exit 255', "Can't open device file.*to the group video"),
        ("echo VCHI initialization failed; exit 255", "VCHI initialization failed.*to the group video"),
        ("echo 'error=1 error_msg=\"Command not registered\"'", "Command not registered"),
        ("exit 3", "exit code 3"),
        ("true", "exit code 0"),
    ],
)
def test_a_refusal_is_told_in_one_sentence(tmp_path: Path, script: str, words: str) -> None:
    root = program(tmp_path, f"#!/bin/sh\n{script}\n")
    with pytest.raises(NotMeasurable, match=words) as error:
        vcgencmd.vcgencmd("get_throttled", root=root)
    assert "\n" not in str(error.value)


def test_a_program_for_another_processor_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotMeasurable, match="cannot be run"):
        vcgencmd.vcgencmd("get_throttled", root=program(tmp_path, "\x7fELF"))


def test_no_shell_reads_the_question(tmp_path: Path) -> None:
    root = program(tmp_path, '#!/bin/sh\nprintf %s "$2"\n')
    assert vcgencmd.vcgencmd("measure_clock", "$(id);`id`", root=root) == "$(id);`id`"
