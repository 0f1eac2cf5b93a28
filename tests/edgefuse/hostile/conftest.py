"""Two small kits to damage, and a watched command line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.kits.golden import NOTES, VECTORS
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, write_manifest
from edgefuse_runtimes.encoder import encode_notes, open_encoder
from edgefuse_runtimes.machine import forget_peak_memory, process_memory
from edgefuse_runtimes.spec import EncoderSpec, Tokenization, TokenizerFile
from edgefuse_runtimes.tokenizers import tokenizer_of

SECONDS = 10
MEMORY = 512 << 20
"""Bytes that a run on a kit of one megabyte may take beside what the process held before."""


@pytest.fixture(scope="session")
def wordy_kit(tiny_kit: Path, clip_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny kit with a text encoder in ONNX, which looks tokens up in a table, and its tokenizer.json."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kit = Path(shutil.copytree(tiny_kit, tmp_path_factory.mktemp("wordy") / "wordy.kit"))
    (kit / "text.gguf").unlink()
    clip_tokenizer.save(str(kit / "tokenizer.json"))
    table = np.random.default_rng(0).normal(size=(1200, 64)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "lookup",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, "tokens", 64])],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, kit / "text.onnx")
    manifest = json.loads((kit / MANIFEST).read_text())
    before = EncoderSpec.from_json(manifest["encoders"]["text"])

    def stated(name: str) -> dict[str, Any]:
        data = (kit / name).read_bytes()
        return {"file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    spec = replace(
        before,
        format="onnx",
        precision="fp32",
        pooling="mean",
        tokenization=Tokenization(max_tokens=40, add_bos=True, newline_to_space=False, add_eos=True),
        tokenizer=TokenizerFile(**stated("tokenizer.json")),
        **stated("text.onnx"),
    )
    notes = [(kit / note).read_text() for note in NOTES]
    with open_encoder(spec, kit, engine="numpy", threads=1) as encoder:
        vectors, _ = encode_notes(encoder, tokenizer_of(spec, kit.joinpath), notes)
    with np.load(kit / VECTORS) as arrays:
        golden = dict(arrays) | {"text": vectors}
    np.savez(kit / VECTORS, **golden)
    manifest["encoders"]["text"] = spec.to_json()
    (kit / MANIFEST).unlink()
    write_manifest(kit, {key: value for key, value in manifest.items() if key not in ("files", "digest", "schema")})
    Kit.open(kit).require_complete()
    return kit


class TooLong(BaseException):
    """A run took more than SECONDS."""


@pytest.fixture
def watched(cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Run the command line; fail where it hangs, fills the memory, shows a traceback, or writes outside its places."""
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "home"))
    allowed = (str(tmp_path), os.environ["XDG_CACHE_HOME"], "/dev/", "/proc/")
    written: list[str] = []
    on = [False]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if on[0] and event == "open" and isinstance(arguments[0], str | bytes):
            writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - a link is not to be followed
            if writes and not path.startswith(allowed):
                written.append(path)

    def too_long(*_: Any) -> None:
        raise TooLong

    def run(*words: str | Path) -> Any:
        forget_peak_memory()
        before = process_memory().anon_bytes
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        on[0] = True
        try:
            outcome = cli(*words)
        except TooLong:
            pytest.fail(f"edgefuse {' '.join(map(str, words))} took more than {SECONDS} s")
        finally:
            on[0] = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert written == []
        assert process_memory().peak_rss_bytes - before < MEMORY + (200 << 20)
        assert outcome.code in (0, 2, 7), outcome
        if outcome.code:
            assert outcome.err.splitlines()[-1].startswith("edgefuse: "), outcome
        assert "Traceback" not in outcome.err
        return outcome

    sys.addaudithook(watch)  # which stays, but does nothing when it is off
    previous = signal.signal(signal.SIGALRM, too_long)
    yield run
    signal.signal(signal.SIGALRM, previous)
