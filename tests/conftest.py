"""What every test may ask for: tiny encoders of the real formats, a kit made of them, and the real starter kit."""

from __future__ import annotations

import dataclasses
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

if importlib.util.find_spec("hypothesis") is not None:  # a field environment has none
    from hypothesis import HealthCheck, settings

    # The first draw of a text builds hypothesis's table of Unicode, which takes seconds on a small machine.
    settings.register_profile("edgefuse", suppress_health_check=[HealthCheck.too_slow], deadline=None)
    settings.load_profile("edgefuse")

CLIP_CORPUS = [
    "Age: 45 years. Sex: male. Localization: lower extremity. The lesion has grown since 2019-03-07.",
    "It's the patient's first visit; she doesn't smoke, they've seen 3 doctors and he'll return in 12 weeks.",
    "Der Patient klagt über Juckreiz; Größe ungefähr 8 mm. المريض عمره ٤٥ سنة. रोगी की आयु ४५ वर्ष है। 患者今年四十五岁。",
] * 8


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest comes first; those that need the starter kit come last, when it has made that one.

    So no two processes that run the tests side by side wait for each other.
    """
    needed: dict[Path, set[str]] = {}
    for item in items:
        needed.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))

    def turn(item: pytest.Item) -> int:
        return 0 if "field_venv" in needed[item.path] else 2 if "starter_kit" in needed[item.path] else 1

    items.sort(key=turn)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of real checkpoints and photographs that may lie beside the repository."""
    folder = ROOT.parent / "shared"
    if not (folder / "models").is_dir():
        pytest.skip("needs ../shared (real checkpoints and photographs), which is not part of the repository")
    return folder


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the files of a recorded machine: "pi4", "pi5", "laptop" or "cloud_vm"."""

    def copy(machine: str) -> Path:
        source = ROOT / "tests" / "edgefuse_bench" / "meters" / "fixtures" / machine
        return Path(shutil.copytree(source, tmp_path / machine))

    return copy


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Import a script of the repository that lies in no package, by its path below the root."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def python_3_13() -> Path:
    """Python 3.13 beside the running one."""
    if sys.version_info[:2] == (3, 13):
        pytest.skip("the running Python is 3.13 and stands for it")
    named, on_path = os.environ.get("EDGEFUSE_PYTHON313"), shutil.which("python3.13")
    candidates = [
        *([Path(named)] if named else []),
        *([Path(on_path)] if on_path else []),
        *sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python")),
    ]
    for candidate in candidates:
        asked = [candidate, "-c", "import sys, venv, ensurepip; print(sys.version_info[:2])"]
        if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "(3, 13)":
            return candidate
    pytest.skip("needs Python 3.13 as python3.13 on the PATH, as $EDGEFUSE_PYTHON313 or in ~/.pyenv")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own active kit, probe verdicts or settings."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.delenv("EDGEFUSE_HOME", raising=False)
    monkeypatch.delenv("EDGEFUSE_KIT", raising=False)
    monkeypatch.delenv("EDGEFUSE_ENGINE", raising=False)
    monkeypatch.delenv("EDGEFUSE_MEMORY", raising=False)


class Outcome(NamedTuple):
    """What a run of the command line left."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The sentence by which input was refused, after checking that there is nothing beside it."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("edgefuse: "), self.err
        return self.err.removeprefix("edgefuse: ").rstrip("\n")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `edgefuse` with arguments, in this process, from `run` on: exit codes and sentences as users meet them."""
    from edgefuse.cli import run

    def call(*arguments: Path | str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["edgefuse", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run()
        printed = capsys.readouterr()
        return Outcome(end.value.code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def clip_tokenizer() -> Any:
    """A small tokenizer with the rules of CLIP's, as transformers writes them."""
    library = pytest.importorskip("tokenizers", reason="the reference for CLIP's tokenizer")
    model = library.Tokenizer(library.models.BPE(end_of_word_suffix="</w>"))
    model.normalizer = library.normalizers.Sequence(
        [
            library.normalizers.NFC(),
            library.normalizers.Replace(library.Regex(r"\s+"), " "),
            library.normalizers.Lowercase(),
        ]
    )
    words = library.Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    byte_level = library.pre_tokenizers.ByteLevel
    model.pre_tokenizer = library.pre_tokenizers.Sequence(
        [library.pre_tokenizers.Split(words, "removed", invert=True), byte_level(add_prefix_space=False)]
    )
    trainer = library.trainers.BpeTrainer(
        vocab_size=900, end_of_word_suffix="</w>", initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    model.train_from_iterator(CLIP_CORPUS, trainer)
    merges = [tuple(pair) for pair in json.loads(model.to_str())["model"]["merges"]]
    letters = sorted(byte_level.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    ids = {token: token_id for token_id, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    model.model = library.models.BPE(
        ids, merges, unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"
    )
    model.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    model.post_processor = library.processors.RobertaProcessing(
        ("<|endoftext|>", ids["<|endoftext|>"]), ("<|startoftext|>", ids["<|startoftext|>"]), False, False
    )
    model.encode_special_tokens = True
    return model


@pytest.fixture(scope="session")
def tiny_image_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 image encoder with random weights: 16 patches of 56 pixels, hidden states (1, 16, 24)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def constant(name: str, value: np.ndarray) -> TensorProto:
        return numpy_helper.from_array(value, name)

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixel_values", "patch"], ["patches"], strides=[56, 56]),
            helper.make_node("Reshape", ["patches", "shape"], ["channels_first"]),
            helper.make_node("Transpose", ["channels_first"], ["tokens"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["tokens", "weight"], ["projected"]),
            helper.make_node("Add", ["projected", "bias"], ["shifted"]),
            helper.make_node("Tanh", ["shifted"], ["last_hidden_state"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, 16, 24])],
        [
            constant("patch", rng.normal(0, 0.01, (32, 3, 56, 56)).astype(np.float32)),
            constant("shape", np.array([1, 32, 16])),
            constant("weight", rng.normal(0, 0.3, (32, 24)).astype(np.float32)),
            constant("bias", rng.normal(0, 0.3, 24).astype(np.float32)),
        ],
    )
    path = tmp_path_factory.mktemp("tiny-image") / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture(scope="session")
def tiny_text_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 LLaMA network with random weights, two layers, 64 wide, and the 256 bytes as its vocabulary."""
    import gguf

    rng = np.random.default_rng(1)
    width, feed_forward, layers, heads, kv_heads = 64, 128, 2, 4, 2
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    letters = [chr(byte if byte in printable else next(spare)) for byte in range(256)]  # GPT-2's byte alphabet
    tokens = [*letters, "ag", "<|endoftext|>"]
    path = tmp_path_factory.mktemp("tiny-text") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["a g"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(257)
    shapes = {"token_embd.weight": (len(tokens), width), "output_norm.weight": (width,)}
    for layer in range(layers):
        kv_width = kv_heads * width // heads
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (width,),
            f"blk.{layer}.attn_q.weight": (width, width),
            f"blk.{layer}.attn_k.weight": (kv_width, width),
            f"blk.{layer}.attn_v.weight": (kv_width, width),
            f"blk.{layer}.attn_output.weight": (width, width),
            f"blk.{layer}.ffn_norm.weight": (width,),
            f"blk.{layer}.ffn_gate.weight": (feed_forward, width),
            f"blk.{layer}.ffn_up.weight": (feed_forward, width),
            f"blk.{layer}.ffn_down.weight": (width, feed_forward),
        }
    for name, shape in shapes.items():
        values = rng.normal(1 if len(shape) == 1 else 0, 0.2, shape)
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def tiny_encoders(tmp_path_factory: pytest.TempPathFactory, tiny_image_onnx: Path, tiny_text_gguf: Path) -> Path:
    """An encoders folder as `edgefuse export` makes it, of the two tiny encoders."""
    from edgefuse.kits.encoders import write_encoders
    from edgefuse_export.llama import export_text_encoder
    from edgefuse_export.vision import export_image_encoder

    folder = tmp_path_factory.mktemp("tiny-encoders")
    image = export_image_encoder(tiny_image_onnx, folder)
    text = export_text_encoder(tiny_text_gguf, folder)
    write_encoders(folder, image, text)
    return folder


@pytest.fixture(scope="session")
def tiny_workshop(tmp_path_factory: pytest.TempPathFactory, tiny_encoders: Path) -> Path:
    """A folder with the table, the evaluated head and the kit of the tiny encoders on 60 drawn samples."""
    from edgefuse.datasets import open_dataset
    from edgefuse.datasets.drawn import write_example
    from edgefuse.evaluation.record import evaluate_folder
    from edgefuse.extraction.running import Settings, extract
    from edgefuse.heads import write_head
    from edgefuse.kits.encoders import Encoders
    from edgefuse.kits.packing import pack
    from edgefuse.training import recipe, trainer

    folder = tmp_path_factory.mktemp("tiny-workshop")
    write_example(folder / "drawn", count=60)
    encoders = Encoders.open(tiny_encoders)
    extraction = extract(
        open_dataset("drawn", folder / "drawn"), encoders, folder / "table", settings=Settings(engine="numpy")
    )
    settings = trainer.Settings(epochs=3)
    write_head(folder / "head", recipe.train_head(extraction.table, fusion="early", settings=settings))
    evaluation = evaluate_folder(folder / "head")
    pack(encoders, folder / "head", evaluation, folder / "tiny.kit", name="tiny", version="1")
    return folder


@pytest.fixture(scope="session")
def tiny_kit(request: pytest.FixtureRequest) -> Path:
    """A kit of tiny random encoders: right in every shape, its labels mean nothing.

    $EDGEFUSE_TEST_KIT names one that was made before, for environments that cannot make it.
    """
    made = os.environ.get("EDGEFUSE_TEST_KIT")
    return Path(made) if made else request.getfixturevalue("tiny_workshop") / "tiny.kit"


@pytest.fixture(scope="session")
def encoders_of_both(tmp_path_factory: pytest.TempPathFactory, tiny_image_onnx: Path, tiny_text_gguf: Path) -> Path:
    """The tiny encoders exported with --precision both: the image encoder in int8 and in fp32."""
    from edgefuse.kits.encoders import write_encoders
    from edgefuse_export.text import export_text_encoder
    from edgefuse_export.vision import export_image_encoders

    folder = tmp_path_factory.mktemp("both-encoders")
    image, *others = export_image_encoders(tiny_image_onnx, folder, precision="both")
    write_encoders(folder, image, export_text_encoder(tiny_text_gguf, folder), alternatives=others)
    return folder


@pytest.fixture(scope="session")
def kit_of_both(tmp_path_factory: pytest.TempPathFactory, encoders_of_both: Path, tiny_workshop: Path) -> Path:
    """A kit of them with the head of `tiny_kit`, whose encoders have the same main files."""
    from edgefuse.kits.encoders import Encoders
    from edgefuse.kits.packing import pack

    evaluation = json.loads((tiny_workshop / "head" / "evaluation.json").read_text())
    kit = tmp_path_factory.mktemp("both-kit") / "both.kit"
    pack(Encoders.open(encoders_of_both), tiny_workshop / "head", evaluation, kit, name="both", version="1")
    return kit


FAKE_ENGINE = """
import os, signal, time
import numpy as np
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.worker import WorkerEncoder, time_limit

CALLS = {calls!r}


class Fake({base}):
    def info(self):
        return super().info() | {{"engine": "fake"}}

    def encode(self, batch):
        with open(CALLS, "a") as file:
            file.write("x")
        calls = os.path.getsize(CALLS)
        vectors = super().encode(batch)
        {behaviour}
        return vectors


class FakeWorker(WorkerEncoder):
    def __init__(self, path, spec, *, threads, memory):
        limit = time_limit(spec)
        super().__init__("fake_engine:Fake", path, spec, threads=threads, memory=memory, timeout=limit, name="fake")
"""


@pytest.fixture
def fake_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put an engine that works in a real child process in the place of the native one of a format.

    It computes with numpy; then it does what the line of Python in `behaviour` says, which may use `calls`, the
    number of samples up to this one, the probe's first, and change `vectors`. Returns a file with a letter for each.
    """
    from edgefuse_runtimes import encoder, memory_plan
    from edgefuse_runtimes.contract import Engine

    known = memory_plan.need

    def need(facts: Any, way: Any, **settings: Any) -> Any:
        return known(facts, dataclasses.replace(way, engine="numpy") if way.engine == "fake" else way, **settings)

    def install(behaviour: str = "pass", file_format: str = "onnx") -> Path:
        calls = tmp_path / "calls"
        base = {"onnx": "OnnxNumpyEncoder", "gguf": "GgufNumpyEncoder"}[file_format]
        source = FAKE_ENGINE.format(calls=str(calls), base=base, behaviour=behaviour)
        (tmp_path / "fake_engine.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        fake = Engine("fake", "fake_engine:FakeWorker", "fake_engine", "numpy", "fake_engine:Fake")
        monkeypatch.delitem(sys.modules, "fake_engine", raising=False)
        monkeypatch.setattr(memory_plan, "need", need)
        monkeypatch.setitem(encoder.ENGINES, file_format, (fake, encoder.ENGINES[file_format][-1]))
        return calls

    return install


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Only one of the processes that run tests side by side makes what all of them find in .cache afterwards."""
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def starter_kit() -> Path:
    """The starter kit of real pretrained encoders, built once by `edgefuse starter` and kept in .cache."""
    kit = ROOT / ".cache" / "starter.kit"
    with one_at_a_time():
        outcome = subprocess.run(
            [sys.executable, "-m", "edgefuse", "starter", str(kit)],
            env=os.environ | {"XDG_CACHE_HOME": str(ROOT / ".cache")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert outcome.returncode == 0, outcome.stderr
    return kit


@pytest.fixture(scope="session")
def shared_checkpoint(shared_folder: Path) -> Callable[[str], Path]:
    """The folder of a checkpoint that ../shared can write, such as "minilm"; written once and kept in .cache."""

    def make(name: str) -> Path:
        script = next((shared_folder / "models").glob(f"make_*{name}*.py"), None)
        if script is None:
            pytest.skip(f"../shared has no script that makes the checkpoint {name}")
        folder = ROOT / ".cache" / "checkpoints" / name
        with one_at_a_time():
            if not folder.is_dir():
                part = folder.with_name(f".{name}.part")
                shutil.rmtree(part, ignore_errors=True)
                folder.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run([sys.executable, script, part], check=True, capture_output=True)
                part.rename(folder)
        return folder

    return make


Runs = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def memory_group() -> Callable[[int], Any]:
    """Make a control group (version 1 or 2) with a memory limit and no swap: `with memory_group(bytes) as run`.

    `run` is like `subprocess.run`, with the command inside the group.
    """
    version_1, version_2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    is_version_1 = (version_1 / "memory.limit_in_bytes").exists()
    controllers = version_2 / "cgroup.controllers"
    if is_version_1:
        parent, limits, no_swap = version_1, ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"], "swappiness"
    elif controllers.exists() and "memory" in controllers.read_text().split():
        parent, limits, no_swap = version_2, ["memory.max"], "swap.max"
    else:
        pytest.skip("needs control groups that limit memory, version 1 or 2, below /sys/fs/cgroup")

    @contextmanager
    def make(limit: int) -> Iterator[Runs]:
        group = parent / f"edgefuse-test-{os.getpid()}"
        try:
            if not is_version_1:
                (parent / "cgroup.subtree_control").write_text("+memory")
            group.mkdir()
        except OSError as error:
            pytest.skip(f"needs the right to make a control group below {parent} ({error.strerror}), as root has")
        try:
            for name, value in ((f"memory.{no_swap}", 0), *((name, limit) for name in limits)):
                if (group / name).exists():
                    (group / name).write_text(str(value))

            def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
                entering = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
                return subprocess.run(["/bin/sh", "-c", entering, str(group), *map(str, command)], **options)

            yield run
        finally:
            group.rmdir()

    return make
