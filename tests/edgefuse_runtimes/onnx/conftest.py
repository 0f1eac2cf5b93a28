"""ONNX models made by the onnx package, and onnxruntime as the reference for what they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_runtimes.spec import EncoderSpec, Preprocess, Tokenization, TokenizerFile

ONNX = "needs the extra export: onnx makes the models to read"
ONNXRUNTIME = "needs onnxruntime, the reference"

SIDE, PATCH, WIDTH, HEADS, LAYERS = 28, 14, 32, 2, 2
TOKENS = (SIDE // PATCH) ** 2 + 1

Arrays = Mapping[str, np.ndarray]


@pytest.fixture(scope="session")
def save_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write nodes to a new .onnx file: inputs and outputs are name -> (type, shape), constants are arrays."""
    onnx = pytest.importorskip("onnx", reason=ONNX)

    def save(
        nodes: Sequence[Any],
        inputs: Mapping[str, tuple[Any, Sequence[Any] | None]],
        outputs: Mapping[str, tuple[Any, Sequence[Any] | None]],
        constants: Arrays | None = None,
        opset: int = 18,
    ) -> Path:
        def value(name: str, dtype: Any, shape: Sequence[Any] | None) -> Any:
            code = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            return onnx.helper.make_tensor_value_info(name, code, shape)

        graph = onnx.helper.make_graph(
            nodes,
            "test",
            [value(name, *description) for name, description in inputs.items()],
            [value(name, *description) for name, description in outputs.items()],
            [onnx.numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
        )
        opsets = [onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("com.microsoft", 1)]
        path = tmp_path_factory.mktemp("model") / "model.onnx"
        onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path

    return save


@pytest.fixture(scope="session")
def reference() -> Callable[[Path, Arrays], list[np.ndarray]]:
    """Run a model in onnxruntime, node by node as it stands in the file."""
    onnxruntime = pytest.importorskip("onnxruntime", reason=ONNXRUNTIME)

    def run(path: Path, feeds: Arrays) -> list[np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, dict(feeds)))

    return run


@pytest.fixture(scope="session")
def tiny_fp32(save_model: Callable[..., Path]) -> Path:
    """A vision transformer of DINOv2's shape with random weights: 2 layers, 5 tokens, 32 wide."""
    rng = np.random.default_rng(0)
    node = pytest.importorskip("onnx", reason=ONNX).helper.make_node
    constants: dict[str, np.ndarray] = {
        "patch.weight": rng.normal(0, 0.05, (WIDTH, 3, PATCH, PATCH)).astype(np.float32),
        "patch.bias": rng.normal(0, 0.1, WIDTH).astype(np.float32),
        "grid": np.array([1, WIDTH, -1]),
        "class": rng.normal(0, 1, (1, 1, WIDTH)).astype(np.float32),
        "positions": rng.normal(0, 1, (1, TOKENS, WIDTH)).astype(np.float32),
        "by_head": np.array([1, TOKENS, HEADS, WIDTH // HEADS]),
        "joined": np.array([1, TOKENS, WIDTH]),
        "half_scale": np.float32((WIDTH // HEADS) ** -0.25).reshape(()),
        "root_2": np.float32(np.sqrt(2)).reshape(()),
        "one": np.float32(1).reshape(()),
        "half": np.float32(0.5).reshape(()),
    }
    nodes = [
        node("Conv", ["pixel_values", "patch.weight", "patch.bias"], ["patches"], strides=[PATCH, PATCH]),
        node("Reshape", ["patches", "grid"], ["rows"]),
        node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
        node("Concat", ["class", "tokens"], ["all_tokens"], axis=1),
        node("Add", ["all_tokens", "positions"], ["x0"]),
    ]

    def norm(x: str, y: str) -> None:
        constants[f"{y}.scale"] = rng.normal(1, 0.1, WIDTH).astype(np.float32)
        constants[f"{y}.bias"] = rng.normal(0, 0.1, WIDTH).astype(np.float32)
        nodes.append(node("LayerNormalization", [x, f"{y}.scale", f"{y}.bias"], [y], epsilon=1e-6))

    def linear(x: str, y: str, rows: int, columns: int) -> None:
        constants[f"{y}.weight"] = rng.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        constants[f"{y}.bias"] = rng.normal(0, 0.1, columns).astype(np.float32)
        nodes.append(node("MatMul", [x, f"{y}.weight"], [f"{y}.product"]))
        nodes.append(node("Add", [f"{y}.product", f"{y}.bias"], [y]))

    def add_scaled(x: str, branch: str, y: str) -> None:
        constants[f"{y}.lambda"] = rng.normal(1, 0.1, WIDTH).astype(np.float32)
        nodes.append(node("Mul", [branch, f"{y}.lambda"], [f"{y}.branch"]))
        nodes.append(node("Add", [f"{y}.branch", x], [y]))

    for i in range(LAYERS):
        at = f"layer{i}."
        norm(f"x{i}", f"{at}norm1")
        for name, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
            linear(f"{at}norm1", f"{at}{name}", WIDTH, WIDTH)
            nodes.append(node("Reshape", [f"{at}{name}", "by_head"], [f"{at}{name}.heads"]))
            nodes.append(node("Transpose", [f"{at}{name}.heads"], [f"{at}{name}.turned"], perm=perm))
        nodes += [
            node("Mul", [f"{at}query.turned", "half_scale"], [f"{at}query.scaled"]),
            node("Mul", [f"{at}key.turned", "half_scale"], [f"{at}key.scaled"]),
            node("MatMul", [f"{at}query.scaled", f"{at}key.scaled"], [f"{at}scores"]),
            node("Softmax", [f"{at}scores"], [f"{at}attention"], axis=-1),
            node("MatMul", [f"{at}attention", f"{at}value.turned"], [f"{at}mixed"]),
            node("Transpose", [f"{at}mixed"], [f"{at}mixed.turned"], perm=[0, 2, 1, 3]),
            node("Reshape", [f"{at}mixed.turned", "joined"], [f"{at}mixed.joined"]),
        ]
        linear(f"{at}mixed.joined", f"{at}output", WIDTH, WIDTH)
        add_scaled(f"x{i}", f"{at}output", f"{at}middle")
        norm(f"{at}middle", f"{at}norm2")
        linear(f"{at}norm2", f"{at}fc1", WIDTH, 4 * WIDTH)
        nodes += [
            node("Div", [f"{at}fc1", "root_2"], [f"{at}gelu.scaled"]),
            node("Erf", [f"{at}gelu.scaled"], [f"{at}gelu.erf"]),
            node("Add", [f"{at}gelu.erf", "one"], [f"{at}gelu.plus"]),
            node("Mul", [f"{at}fc1", f"{at}gelu.plus"], [f"{at}gelu.product"]),
            node("Mul", [f"{at}gelu.product", "half"], [f"{at}gelu"]),
        ]
        linear(f"{at}gelu", f"{at}fc2", 4 * WIDTH, WIDTH)
        add_scaled(f"{at}middle", f"{at}fc2", f"x{i + 1}")
    norm(f"x{LAYERS}", "last_hidden_state")
    return save_model(
        nodes,
        {"pixel_values": (np.float32, [1, 3, SIDE, SIDE])},
        {"last_hidden_state": (np.float32, [1, TOKENS, WIDTH])},
        constants,
    )


@pytest.fixture(scope="session")
def tiny_int8(tiny_fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, quantised as the export does it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = tmp_path_factory.mktemp("int8") / "tiny-int8.onnx"
    quantize_dynamic(
        tiny_fp32,
        path,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"WeightSymmetric": True, "MatMulConstBOnly": True},
    )
    return path


@pytest.fixture(scope="session")
def tiny_spec() -> EncoderSpec:
    """How the tiny vision transformer is fed and pooled."""
    return EncoderSpec(
        modality="image",
        format="onnx",
        file="tiny.onnx",
        sha256="",
        bytes=0,
        precision="fp32",
        width=WIDTH,
        pooling="cls",
        normalize=False,
        preprocess=Preprocess("squash", SIDE, "bicubic", SIDE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    )


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """20 pictures of smooth noise (20, 3, 28, 28)."""
    rng = np.random.default_rng(1)
    coarse = rng.normal(0, 1, (20, 3, 7, 7))
    return np.kron(coarse, np.ones((1, 1, 4, 4))).astype(np.float32)


VOCABULARY, LONGEST = 50, 12


@pytest.fixture(scope="session")
def tiny_text_fp32(save_model: Callable[..., Path]) -> Path:
    """A text encoder with random weights: one layer of attention, 32 wide, notes of up to 12 of 50 tokens."""
    rng = np.random.default_rng(3)
    node = pytest.importorskip("onnx", reason=ONNX).helper.make_node
    constants: dict[str, np.ndarray] = {
        "words": rng.normal(0, 1, (VOCABULARY, WIDTH)).astype(np.float32),
        "positions": rng.normal(0, 1, (LONGEST, WIDTH)).astype(np.float32),
        "zero": np.array([0]),
        "one": np.array([1]),
        "by_head": np.array([1, -1, HEADS, WIDTH // HEADS]),
        "joined": np.array([1, -1, WIDTH]),
        "scale": rng.normal(1, 0.1, WIDTH).astype(np.float32),
        "bias": rng.normal(0, 0.1, WIDTH).astype(np.float32),
    }
    nodes = [
        node("Shape", ["input_ids"], ["length"], start=1),
        node("Gather", ["words", "input_ids"], ["word"]),
        node("Slice", ["positions", "zero", "length", "zero", "one"], ["position"]),
        node("Add", ["word", "position"], ["x"]),
    ]
    for name, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        constants[f"{name}.weight"] = rng.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
        nodes.append(node("MatMul", ["x", f"{name}.weight"], [name]))
        nodes.append(node("Reshape", [name, "by_head"], [f"{name}.heads"]))
        nodes.append(node("Transpose", [f"{name}.heads"], [f"{name}.turned"], perm=perm))
    nodes += [
        node("MatMul", ["query.turned", "key.turned"], ["scores"]),
        node("Softmax", ["scores"], ["attention"], axis=-1),
        node("MatMul", ["attention", "value.turned"], ["mixed"]),
        node("Transpose", ["mixed"], ["mixed.turned"], perm=[0, 2, 1, 3]),
        node("Reshape", ["mixed.turned", "joined"], ["mixed.joined"]),
        node("Add", ["mixed.joined", "x"], ["sum"]),
        node("LayerNormalization", ["sum", "scale", "bias"], ["last_hidden_state"]),
    ]
    return save_model(
        nodes,
        {"input_ids": (np.int64, [1, "tokens"])},
        {"last_hidden_state": (np.float32, [1, "tokens", WIDTH])},
        constants,
    )


@pytest.fixture(scope="session")
def tiny_text_int8(tiny_text_fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, quantised as the export does it."""
    from edgefuse_export.int8.convert import make_int8

    path = tmp_path_factory.mktemp("int8") / "tiny-text-int8.onnx"
    rng = np.random.default_rng(5)
    make_int8(tiny_text_fp32, path, [rng.integers(0, VOCABULARY, (1, length)) for length in range(3, LONGEST + 1)])
    return path


@pytest.fixture(scope="session")
def tiny_text_spec() -> EncoderSpec:
    """How the tiny text encoder is fed and pooled."""
    return EncoderSpec(
        modality="text",
        format="onnx",
        file="tiny.onnx",
        sha256="",
        bytes=0,
        precision="fp32",
        width=WIDTH,
        pooling="mean",
        normalize=False,
        tokenization=Tokenization(LONGEST, add_bos=True, newline_to_space=False, add_eos=True),
        tokenizer=TokenizerFile("tokenizer.json", "", 0),
    )


@pytest.fixture(scope="session")
def notes() -> list[np.ndarray]:
    """20 notes of 1 to 12 random tokens."""
    rng = np.random.default_rng(4)
    lengths = [1, LONGEST, *rng.integers(1, LONGEST + 1, 18)]
    return [rng.integers(0, VOCABULARY, length).astype(np.int32) for length in lengths]
