"""When an answer was given, by a clock that may be wrong: a Raspberry Pi begins where it was switched off."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgefuse_runtimes.errors import BadInput

SYNCED_FILE = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes it when it has set the clock for the first time since the start."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_TIMEX_BYTES = 208
"""Of glibc's `struct timex` on 64-bit Linux, see adjtimex(2)."""
_STATUS = 40
"""Where its int `status` begins."""
_UNSYNCHRONISED = 0x40
"""STA_UNSYNC: nothing tells the kernel the right time."""


@dataclass(frozen=True)
class Moment:
    """A time, and what is known of the clock that told it."""

    time: str
    """UTC, ISO 8601 with milliseconds, so that the order of texts is that of times: "2026-11-28T23:37:08.123Z"."""
    clock_synchronised: bool | None
    """Whether something on the network or a receiver sets the clock; None: the system does not tell."""
    boot_id: str | None
    """Of this start of the system: within one, `since_boot_s` tells the order and distance of answers for certain."""
    since_boot_s: float
    """Seconds, sleep included."""


def now() -> Moment:
    """This moment."""
    return Moment(timestamp(datetime.now(UTC)), is_synchronised(), _boot_id(), round(_since_boot(), 3))


def timestamp(moment: datetime) -> str:
    """A moment with a time zone as `Moment.time` has it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(words: str, option: str) -> str:
    """A date or a time as people write it (of this device's time zone unless it names one), as `Moment.time` has it.

    Raises:
        BadInput: it is neither.
    """
    try:
        return timestamp(datetime.fromisoformat(words.strip()).astimezone())
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{option} {words!r} is no date; write it as 2026-11-28, or with a time as 2026-11-28T14:30."
        ) from error


def local(time_utc: str) -> str:
    """A stored time on this device's own clock face: "2026-11-28 23:37"."""
    return datetime.fromisoformat(time_utc).astimezone().strftime("%Y-%m-%d %H:%M")


def is_synchronised() -> bool | None:
    """Whether something sets this machine's clock: the kernel is asked, then the mark of systemd-timesyncd."""
    kernel = _kernel_says()
    return True if kernel or SYNCED_FILE.exists() else kernel


def _kernel_says() -> bool | None:
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # zeros: modes = 0 only reads
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (AttributeError, OSError):
        return None
    if state < 0:  # a container may forbid it
        return None
    return not int.from_bytes(timex.raw[_STATUS : _STATUS + 4], "little") & _UNSYNCHRONISED


def _boot_id() -> str | None:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
