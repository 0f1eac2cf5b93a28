"""Archives are read as tar writes them; whatever else a tar archive can hold is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.kits.archive import BLOCK, Archive, write_archive
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "a.kit"
    (tmp_path / "big").write_bytes(bytes(range(256)) * 20)
    write_archive(path, {"kit.json": b"{}\n", "golden/0.txt": tmp_path / "big", "empty": b""})
    return path


def members(*made: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member, content in made:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def of_kind(kind: bytes, name: str = "a", link: str = "/etc/passwd") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def test_what_was_written_is_read(made: Path, tmp_path: Path) -> None:
    archive = Archive(made)
    assert archive.sizes == {"kit.json": 3, "golden/0.txt": 5120, "empty": 0}
    for name, content in (("kit.json", b"{}\n"), ("golden/0.txt", (tmp_path / "big").read_bytes()), ("empty", b"")):
        with archive.open(name) as file:
            assert file.read() == content


def test_it_holds_no_time_and_no_owner(made: Path) -> None:
    with tarfile.open(made) as archive:
        assert {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in archive} == {
            (0, 0, 0, "", "", 0o644)
        }


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_archives_of_other_programs_with_folders_are_read(tmp_path: Path, form: int) -> None:
    folder = of_kind(tarfile.DIRTYPE, "golden/", "")
    path = tmp_path / "a.kit"
    path.write_bytes(members((folder, b""), (tarfile.TarInfo("golden/0.txt"), b"x"), form=form))
    assert Archive(path).sizes == {"golden/0.txt": 1}


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_links_devices_and_holes_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.kit"
    path.write_bytes(members((of_kind(kind), b"")))
    with pytest.raises(BadInput, match="something in it is no plain file"):
        Archive(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "golden/../../outside", "./a", "a\\b", "a\nb"])
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.kit"
    path.write_bytes(members((tarfile.TarInfo(name), b"x")))
    with pytest.raises(BadInput, match="names a file outside itself"):
        Archive(path)


def _with_size(header: bytes, size: bytes) -> bytes:
    changed = header[:124] + size + header[136:148] + b" " * 8 + header[156:]
    return changed[:148] + f"{sum(changed):06o}\0 ".encode() + changed[156:]


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\0" * 3 + b"\xff" * 8, b"00000002000\0"])
def test_sizes_that_lie_are_refused(made: Path, size: bytes) -> None:
    data = made.read_bytes()
    made.write_bytes((_with_size(data[:BLOCK], size) + data[BLOCK:])[: 2 * BLOCK])
    with pytest.raises(BadInput, match="ends too early"):
        Archive(made)


@pytest.mark.parametrize("size", [b"-0000000001\0", b"-0000002000\0", b"zzzzzzzzzzz\0", b"\xff" * 12])
def test_sizes_that_are_none_are_refused(made: Path, size: bytes) -> None:
    data = made.read_bytes()
    made.write_bytes(_with_size(data[:BLOCK], size) + data[BLOCK:])
    with pytest.raises(BadInput, match="is not a kit"):
        Archive(made)


def test_a_packed_archive_is_refused_before_it_is_unpacked(made: Path) -> None:
    made.write_bytes(gzip.compress(bytes(1 << 20)))
    with pytest.raises(BadInput, match="no plain tar archive"):
        Archive(made)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.kit"
    path.write_bytes(members((tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("a"), b"y")))
    with pytest.raises(BadInput, match="twice"):
        Archive(path)


@pytest.mark.parametrize("cut", [0, 1, 511, 513, 1500])
def test_a_half_copied_archive_is_refused(made: Path, cut: int) -> None:
    made.write_bytes(made.read_bytes()[:cut])
    with pytest.raises(BadInput, match=r"ends too early|is not a kit"):
        Archive(made)


@given(data=st.data())
def test_any_damage_gets_a_sentence_or_the_archive(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("archive") / "a.kit"
    whole = bytearray(members((tarfile.TarInfo("kit.json"), b"{}"), (tarfile.TarInfo("b"), b"x" * 600)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        archive = Archive(path)
    except BadInput:
        return
    for name, size in archive.sizes.items():
        with archive.open(name) as file:
            assert len(file.read()) == size
