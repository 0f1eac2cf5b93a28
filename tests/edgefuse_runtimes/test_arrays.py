"""Files of arrays that somebody else wrote are read or refused: nothing of them runs or fills the memory."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes.arrays import read_arrays
from edgefuse_runtimes.errors import BadInput

pytestmark = pytest.mark.field


def test_arrays_that_hold_objects_are_not_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(ran),)

    np.savez(tmp_path / "a.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(BadInput, match="cannot be read"):
        read_arrays(tmp_path / "a.npz", "copy it again")
    assert not ran.exists()


def test_a_bomb_of_arrays_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 28,)})
        for _ in range(256):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadInput, match="it would become 268435"):
        read_arrays(path, "copy it again")


def test_an_archive_of_something_else_holds_no_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", b"no array")
    with pytest.raises(BadInput, match="holds something that is no array"):
        read_arrays(tmp_path / "a.npz", "copy it again")


@pytest.mark.parametrize("shape", [(10**13,), (2**40, 2**40), (-1,)])
def test_a_header_that_asks_for_too_much_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file, file.open("a.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
        member.write(bytes(100))
    with pytest.raises(BadInput, match="cannot be read"):
        read_arrays(tmp_path / "a.npz", "copy it again")


@pytest.mark.parametrize(
    "header", [b"{'descr': (\n", b"{'descr'", b"(" * 5000, b"{'descr': '<f4'}", b"\xff\xfe", b"9" * 9000]
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(BadInput, match="cannot be read"):
        read_arrays(tmp_path / "a.npz", "copy it again")
