"""Tables that three worker processes make, some of which die or are slow: the same as one machine's, bit by bit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest

from edgefuse.datasets import Dataset
from edgefuse.embeddings.cost import read_cost
from edgefuse.embeddings.table import shard_path
from edgefuse.extraction import filling
from edgefuse.extraction.running import Settings, extract
from edgefuse.kits.encoders import Encoders
from edgefuse.scheduling import cluster as cluster_module
from edgefuse.scheduling.cluster import Cluster, open_cluster
from edgefuse_runtimes.errors import BadInput, EngineUnavailable

ONE_THREAD = Settings(engine="numpy", threads=1)


def files(folder: Path) -> dict[str, bytes]:
    """What must be the same on all machines."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "cost.json"}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each shard was written."""
    counts = Counter[str]()
    write_shard = filling.write_shard

    def count(path: Path, vectors: Any) -> None:
        counts[path.name] += 1
        write_shard(path, vectors)

    monkeypatch.setattr(filling, "write_shard", count)
    return counts


def test_one_worker_dies_and_one_is_slow(
    many: Dataset, alone: Path, workers_of_its_own: Any, written: Counter[str], tiny_encoders: Path, tmp_path: Path
) -> None:
    folder, faults = tmp_path / "V", []

    def harm(client: Any) -> None:
        pids = list(client.run(os.getpid).values())
        while not shard_path(folder, "text", 0).exists():
            time.sleep(0.001)
        os.kill(pids[0], signal.SIGKILL)
        os.kill(pids[1], signal.SIGSTOP)
        faults.append(not shard_path(folder, "image", 1).exists())
        time.sleep(2)
        os.kill(pids[1], signal.SIGCONT)

    with open_cluster(workers_of_its_own.scheduler_address) as cluster:
        thread = threading.Thread(target=harm, args=(cluster.client,))
        thread.start()
        extract(many, Encoders.open(tiny_encoders), folder, settings=ONE_THREAD, encode=cluster.encode)
        thread.join()
    assert faults == [True]  # it was in the middle of the work
    assert files(folder) == files(alone)
    assert written == dict.fromkeys((name for name in files(alone) if name.endswith(".npy")), 1)
    cost = read_cost(folder)
    assert (cost["text"]["samples"], cost["text"]["distinct"], cost["image"]["distinct"]) == (300, 263, 300)


def test_a_worker_that_hangs_is_not_waited_for(
    many: Dataset,
    alone: Path,
    workers_of_its_own: Any,
    written: Counter[str],
    tiny_encoders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_module, "FETCH_SECONDS", 2.0)
    folder, stopped = tmp_path / "V", []

    def stop(client: Any) -> None:
        stopped.append(next(iter(client.run(os.getpid).values())))
        while not list(folder.glob("text-*.npy")):
            time.sleep(0.001)
        os.kill(stopped[0], signal.SIGSTOP)

    try:
        with open_cluster(workers_of_its_own.scheduler_address, shared_encoders=str(tiny_encoders)) as cluster:
            thread = threading.Thread(target=stop, args=(cluster.client,))
            thread.start()
            extract(many, Encoders.open(tiny_encoders), folder, settings=ONE_THREAD, encode=cluster.encode)
            thread.join()
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    assert files(folder) == files(alone)
    assert set(written.values()) == {1}


def test_files_are_sent_once_and_kept(
    many: Dataset,
    alone: Path,
    workers_of_its_own: Any,
    tiny_encoders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = []
    send = Cluster._send

    def count(self: Cluster, worker: str, encoders: Encoders, needed: Any) -> Iterator[bytes]:
        sent.append(needed[0].name)
        return send(self, worker, encoders, needed)

    monkeypatch.setattr(Cluster, "_send", count)
    monkeypatch.setattr(cluster_module, "PIECE", 10_000)
    for name in ("V", "W"):
        with open_cluster(workers_of_its_own.scheduler_address) as cluster:
            extract(many, Encoders.open(tiny_encoders), tmp_path / name, settings=ONE_THREAD, encode=cluster.encode)
        assert files(tmp_path / name) == files(alone)
    assert sent == ["text.gguf", "image.onnx"]  # the three share one home


def test_a_table_begun_by_workers_is_finished_here_and_the_other_way_round(
    many: Dataset, alone: Path, workers: Any, tiny_encoders: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "V"
    encoders = Encoders.open(tiny_encoders)
    with open_cluster(workers.scheduler_address, shared_encoders=str(tiny_encoders.parent)) as cluster:
        extract(many, encoders, folder, settings=ONE_THREAD, encode=cluster.encode)
        for modality, number in (("text", 1), ("image", 1)):
            shard_path(folder, modality, number).unlink()
        extract(many, encoders, folder, settings=ONE_THREAD)
        assert files(folder) == files(alone)
        for modality, number in (("text", 0), ("image", 0)):
            shard_path(folder, modality, number).unlink()
        extract(many, encoders, folder, settings=ONE_THREAD, encode=cluster.encode)
    assert files(folder) == files(alone)


def test_pictures_are_read_from_a_shared_root_or_refused(
    many: Dataset, alone: Path, workers: Any, tiny_encoders: Path, tmp_path: Path
) -> None:
    root, encoders = many.samples[0].image.parent, Encoders.open(tiny_encoders)
    (tmp_path / "seen").symlink_to(root)
    shared = {"shared_encoders": str(tiny_encoders)}
    with open_cluster(workers.scheduler_address, shared_root=(root, str(tmp_path / "seen")), **shared) as cluster:
        extract(many, encoders, tmp_path / "V", settings=ONE_THREAD, encode=cluster.encode)
    assert files(tmp_path / "V") == files(alone)
    shard_path(tmp_path / "V", "image", 1).unlink()
    for there, said in (
        (tmp_path / "elsewhere", "cannot read .*correct --shared-root"),
        (tmp_path / "other", "is another file"),
    ):
        (tmp_path / "other").mkdir(exist_ok=True)
        for k in range(8):
            (tmp_path / "other" / f"{k}.png").write_bytes(b"x")
        with (
            open_cluster(workers.scheduler_address, shared_root=(root, str(there)), **shared) as cluster,
            pytest.raises(BadInput, match=said),
        ):
            extract(many, encoders, tmp_path / "V", settings=ONE_THREAD, encode=cluster.encode)
    with (
        open_cluster(workers.scheduler_address, shared_root=(tmp_path, "/x"), **shared) as cluster,
        pytest.raises(BadInput, match="is not below"),
    ):
        extract(many, encoders, tmp_path / "V", settings=ONE_THREAD, encode=cluster.encode)


def test_workers_of_another_version_are_refused(
    many: Dataset, workers: Any, tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = cluster_module.Work
    monkeypatch.setattr(cluster_module, "Work", lambda *arguments: work(*arguments, version="0.0.1"))
    with (
        open_cluster(workers.scheduler_address, shared_encoders=str(tiny_encoders)) as cluster,
        pytest.raises(BadInput, match=r"has edgefuse .*, not 0\.0\.1; install the same version on all machines"),
    ):
        extract(many, Encoders.open(tiny_encoders), tmp_path / "V", settings=ONE_THREAD, encode=cluster.encode)


def test_without_workers_it_gives_up_and_goes_on_later(
    many: Dataset, tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.5)
    monkeypatch.setattr(cluster_module, "LOOK_SECONDS", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as empty,
        open_cluster(empty.scheduler_address, shared_encoders=str(tiny_encoders)) as cluster,
        pytest.raises(EngineUnavailable, match=r"No worker is left at tcp://.*run the same command again to go on"),
    ):
        extract(many, Encoders.open(tiny_encoders), tmp_path / "V", settings=ONE_THREAD, encode=cluster.encode)


def test_a_scheduler_that_goes_away_is_a_sentence(
    many: Dataset, tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "LOOK_SECONDS", 0.1)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "500ms"}),
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as local,
        open_cluster(local.scheduler_address, shared_encoders=str(tiny_encoders)) as cluster,
    ):
        threading.Timer(1.0, local.close).start()
        with pytest.raises(EngineUnavailable, match=r"The scheduler at tcp://.* is gone; start it again"):
            extract(many, Encoders.open(tiny_encoders), tmp_path / "V", settings=ONE_THREAD, encode=cluster.encode)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("local", "names no number of workers"),
        ("local:0", "names no number of workers"),
        ("local:x", "names no number of workers"),
        ("myhost:8786", "is no scheduler; write local:N, or tcp://HOST:PORT"),
        ("http://myhost", "is no scheduler"),
    ],
)
def test_an_address_that_is_none(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said), open_cluster(address):
        pass


def test_the_command_encodes_with_processes_here(
    cli: Callable[..., Any], many: Dataset, alone: Path, tiny_encoders: Path, tmp_path: Path
) -> None:
    table = many.samples[0].image.parent / "table.csv"
    options = ["--encoders", tiny_encoders, "--engine", "numpy", "--threads", "1", "--scheduler", "local:2"]
    outcome = cli("extract", "--dataset", table, "--output", tmp_path / "V", *options)
    assert outcome.code == 0, outcome.err
    assert "sending" not in outcome.err
    assert files(tmp_path / "V") == files(alone)
