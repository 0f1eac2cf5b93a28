"""What control groups leave a process: described trees of both versions, and a real group with a limit."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from edgefuse_runtimes.cgroup import GroupMemory, cpu_limit, limited_groups
from edgefuse_runtimes.machine import available_memory

pytestmark = pytest.mark.field

MIB = 2**20
V1_UNLIMITED = 9223372036854771712


def process(folder: Path, cgroup: str, mountinfo: str) -> Path:
    """A folder as below /proc, of a process that sees the groups mounted below `folder`."""
    proc = folder / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(textwrap.dedent(cgroup))
    (proc / "mountinfo").write_text(textwrap.dedent(mountinfo).replace("FOLDER", str(folder)))
    return proc


def group_v1(folder: Path, limit: int, used: int, file_pages: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"cache 1\nactive_file 7\ntotal_cache {file_pages + 5 * MIB}\n"
        f"total_active_file {file_pages // 4}\ntotal_inactive_file {file_pages - file_pages // 4}\n"
    )


def group_v2(folder: Path, limit: str, used: int, *, high: str = "max", file_pages: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.high").write_text(f"{high}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\nfile 9\nactive_file 0\ninactive_file {file_pages}\n")


V1_MOUNTS = """\
    31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
    32 31 0:29 / FOLDER/cpu rw,relatime - cgroup cgroup rw,cpu
    35 31 0:32 / FOLDER/memory rw,relatime - cgroup cgroup rw,memory
    """
V2_MOUNTS = "30 23 0:26 / FOLDER/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_1_counts_the_group_and_its_parents(tmp_path: Path) -> None:
    proc = process(tmp_path, "9:name=systemd:/\n4:memory:/a/b\n1:cpu:/c\n", V1_MOUNTS)
    group_v1(tmp_path / "memory", V1_UNLIMITED, 900 * MIB)
    group_v1(tmp_path / "memory/a", 300 * MIB, 250 * MIB, file_pages=200 * MIB)
    group_v1(tmp_path / "memory/a/b", 512 * MIB, 40 * MIB)

    assert limited_groups(proc) == [
        GroupMemory(tmp_path / "memory/a/b", 512 * MIB, 40 * MIB),
        GroupMemory(tmp_path / "memory/a", 300 * MIB, 50 * MIB),
    ]
    assert [group.available_bytes for group in limited_groups(proc)] == [472 * MIB, 250 * MIB]


def test_version_2_counts_the_group_its_parents_and_where_it_is_slowed_down(tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/user.slice/session.scope\n", V2_MOUNTS)
    group_v2(tmp_path / "unified/user.slice", "max", 700 * MIB, high=str(800 * MIB), file_pages=100 * MIB)
    group_v2(tmp_path / "unified/user.slice/session.scope", str(320 * MIB), 20 * MIB)

    assert limited_groups(proc) == [
        GroupMemory(tmp_path / "unified/user.slice/session.scope", 320 * MIB, 20 * MIB),
        GroupMemory(tmp_path / "unified/user.slice", 800 * MIB, 600 * MIB),
    ]


def test_both_versions_beside_each_other_where_only_one_limits_memory(tmp_path: Path) -> None:
    proc = process(tmp_path, "4:cpu,memory:/a\n0::/a\n", V1_MOUNTS + V2_MOUNTS)
    group_v1(tmp_path / "memory/a", 64 * MIB, 32 * MIB)
    (tmp_path / "unified/a").mkdir(parents=True)  # without the memory controller it has none of its files

    assert limited_groups(proc) == [GroupMemory(tmp_path / "memory/a", 64 * MIB, 32 * MIB)]


@pytest.mark.parametrize("path", ["/docker/abc", "/"])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, path: str) -> None:
    """With the host's view of groups its path is that of the mount's root; with a view of its own it is "/"."""
    mounts = "35 31 0:32 /docker/abc FOLDER/memory rw - cgroup cgroup rw,memory\n"
    group_v1(tmp_path / "memory", 256 * MIB, 56 * MIB)

    groups = limited_groups(process(tmp_path, f"4:memory:{path}\n", mounts))

    assert groups == [GroupMemory(tmp_path / "memory", 256 * MIB, 56 * MIB)]


def test_a_place_with_a_blank_and_a_group_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "my groups").mkdir()
    mounts = "30 23 0:26 / FOLDER/my\\040groups rw - cgroup2 cgroup2 rw\n"
    group_v2(tmp_path / "my groups", str(100 * MIB), 130 * MIB)

    groups = limited_groups(process(tmp_path, "0::/gone\n", mounts))

    assert [group.folder for group in groups] == [tmp_path / "my groups"]
    assert groups[0].available_bytes == 0


def test_mounts_with_names_of_another_encoding_do_no_harm(tmp_path: Path) -> None:
    proc = process(tmp_path, "4:memory:/a\n", V1_MOUNTS)
    group_v1(tmp_path / "memory/a", 300 * MIB, 250 * MIB)
    with (proc / "mountinfo").open("ab") as file:
        file.write(b"40 23 8:1 / /media/caf\xe9 rw - vfat /dev/sda1 rw\n")

    assert [group.limit_bytes for group in limited_groups(proc)] == [300 * MIB]


@pytest.mark.parametrize("cgroup", ["", "0::/\n", "4:cpu:/\n"])
def test_no_limit_no_groups(tmp_path: Path, cgroup: str) -> None:
    assert limited_groups(process(tmp_path, cgroup, V2_MOUNTS)) == []
    assert limited_groups(tmp_path / "no such process") == []


def quota(folder: Path, microseconds: int | str, period: int = 100_000) -> None:
    """What both versions of the interface call the processor time of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{-1 if microseconds == 'max' else microseconds}\n")
    (folder / "cpu.cfs_period_us").write_text(f"{period}\n")
    (folder / "cpu.max").write_text(f"{microseconds} {period}\n")


@pytest.mark.parametrize(
    ("groups", "mounts", "below"),
    [("4:memory:/m\n1:cpu,cpuacct:/a/b\n", V1_MOUNTS, "cpu"), ("0::/a/b\n", V2_MOUNTS, "unified")],
)
def test_the_least_processor_time_of_a_group_and_its_parents(
    tmp_path: Path, groups: str, mounts: str, below: str
) -> None:
    proc = process(tmp_path, groups, mounts)
    quota(tmp_path / below / "a/b", 200_000)
    assert cpu_limit(proc) == 2
    quota(tmp_path / below / "a", 25_000, 50_000)
    assert cpu_limit(proc) == 0.5
    quota(tmp_path / below / "a/b", "max")
    quota(tmp_path / below / "a", "max")
    assert cpu_limit(proc) is None


def test_no_limit_of_processor_time(tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/a\n", V2_MOUNTS)
    assert cpu_limit(proc) is None
    (tmp_path / "unified/a").mkdir(parents=True)
    (tmp_path / "unified/a/cpu.max").write_text("nonsense\n")
    assert cpu_limit(proc) is None
    assert cpu_limit(tmp_path / "no such process") is None


def test_available_memory_of_this_process_is_at_most_what_the_machine_has() -> None:
    psutil = pytest.importorskip("psutil")

    available = available_memory()

    assert 0 < available.bytes <= psutil.virtual_memory().total
    if not limited_groups():
        assert available.limit == "the machine's memory"
        assert available.bytes == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_real_group_limits_what_is_available(memory_group) -> None:
    """Page cache does not count as used, memory that a process holds does."""
    code = f"""
        from pathlib import Path
        import numpy
        from edgefuse_runtimes.machine import available_memory
        before = available_memory()
        held = bytearray(b"x" * {32 * MIB})
        Path(numpy.__file__).with_name("_core").joinpath("numeric.py").read_bytes()
        after = available_memory()
        print(before.bytes, before.bytes - after.bytes, before.limit, sep=";")
    """
    with memory_group(128 * MIB) as run:
        done = run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    available, taken, limit = done.stdout.strip().split(";")
    assert 64 * MIB < int(available) < 128 * MIB
    assert int(taken) == pytest.approx(32 * MIB, abs=4 * MIB)
    assert limit.startswith("the limit of 128 MiB in /")
