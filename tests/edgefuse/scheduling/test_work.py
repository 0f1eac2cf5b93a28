"""What one worker does, in this process: vectors as the encoder gives them, and the encoder stays open."""

from __future__ import annotations

import asyncio
import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import distributed
import numpy as np
import pytest

from edgefuse.datasets.drawn import draw
from edgefuse.kits.encoders import Encoders
from edgefuse.scheduling import work
from edgefuse.scheduling.store import files_of
from edgefuse.scheduling.work import FilesMissing, SharedPicture, Work, encode_rows, has_files
from edgefuse_runtimes.encoder import encode_pictures, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import read_picture, views
from edgefuse_runtimes.spec import EncoderSpec


@pytest.fixture
def encoders(tiny_encoders: Path) -> Encoders:
    return Encoders.open(tiny_encoders)


def of(encoders: Encoders, spec: EncoderSpec) -> Work:
    return Work(json.dumps(spec.to_json()), files_of(encoders, spec), "numpy", 1, str(encoders.folder))


def test_it_goes_over_and_gives_what_the_encoder_gives(encoders: Encoders, tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for k, path in enumerate(paths):
        draw(k).image.save(path)
    with open_encoder(encoders.image, encoders.folder, engine="numpy", threads=1) as encoder:
        expected = encode_pictures(encoder, paths)  # (3, d)
    sent = [path.read_bytes() for path in paths]
    shared = [SharedPicture(str(path), path.stat().st_size) for path in paths]
    for samples in (sent, shared):
        function, arguments = pickle.loads(pickle.dumps((encode_rows, (of(encoders, encoders.image), samples))))
        reply = pickle.loads(pickle.dumps(function(*arguments)))
        np.testing.assert_array_equal(reply.encoded.vectors, expected)
        assert (reply.encoded.spent.engine, reply.encoded.spent.distinct, reply.remarks) == ("numpy", 3, ())


def test_a_worker_encodes_views_one_by_one(encoders: Encoders, tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    for k, path in enumerate(paths):
        draw(k).image.save(path)
    preprocess = encoders.image.preprocess
    assert preprocess is not None
    with open_encoder(encoders.image, encoders.folder, engine="numpy", threads=1) as encoder:
        seen = [encoder.encode(views(read_picture(path, preprocess), 8)) for path in paths]
    mean_of_four = replace(encoders.image, preprocess=replace(preprocess, views=4))
    sent = pickle.loads(pickle.dumps(replace(of(encoders, mean_of_four), views=8)))
    encoded = encode_rows(sent, [path.read_bytes() for path in paths]).encoded
    np.testing.assert_allclose(encoded.vectors, np.concatenate(seen), atol=1e-6)  # (16, d)
    assert encoded.spent.distinct == 16


def test_the_encoder_stays_open_until_another_is_wanted(encoders: Encoders) -> None:
    notes = [np.array([65, 66, 67], np.int32), np.array([70], np.int32)]
    image, text = of(encoders, encoders.image), of(encoders, encoders.text)
    encode_rows(text, notes)
    first = work._opened
    encode_rows(text, notes[:1])
    assert work._opened is first
    encode_rows(replace(text, threads=2), notes)
    assert work._opened is not first
    encode_rows(image, [(encoders.folder / "golden" / "0.png").read_bytes()])
    assert work._opened is not None
    assert work._opened.work == image


def test_files_that_are_nowhere_are_asked_for(
    encoders: Encoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(address="tcp://here"))
    lost = replace(of(encoders, encoders.text), shared=str(tmp_path))
    assert not asyncio.run(has_files(lost.files, lost.shared))
    with pytest.raises(FilesMissing) as missing:
        encode_rows(lost, [np.array([65], np.int32)])
    assert pickle.loads(pickle.dumps(missing.value)).worker == "tcp://here"


def test_a_broken_picture_is_a_sentence(encoders: Encoders) -> None:
    with pytest.raises(BadInput):
        encode_rows(of(encoders, encoders.image), [b"no picture"])
