"""What an encoder is, as data: everything the device needs to know, so that no code knows a model by name."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from edgefuse_runtimes.errors import BadInput

T = TypeVar("T")

LARGEST_SIDE = 4096
"""Pixels; a description that asks for more would only fill the memory."""

Modality = Literal["image", "text"]
Format = Literal["onnx", "gguf"]
Views = Literal[1, 2, 4]
Bands = tuple[int, int, int]
Pooling = Literal["cls", "last", "mean", "none"]
"""Which of the last hidden states (t, d) stands for the sample; "none": the file gives (d,) already."""

TRUE_COLOUR = (4, 3, 2)
"""Red, green and blue among the bands of Sentinel-2: B01, B02, B03, B04 and so on."""


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes the encoder's input (3, crop, crop) float32."""

    resize: Literal["shortest", "squash"]
    """"shortest": the short side becomes `size`, the shape is kept; "squash": both sides become `size`."""
    size: int
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    crop: int
    """Side of the centre crop, in pixels: the encoder's input size."""
    mean: tuple[float, float, float]
    """Per channel (RGB), of values scaled to 0..1."""
    std: tuple[float, float, float]
    views: Views = 1
    """Of how many views the vector is the mean: 1, the picture; 2, its mirror image too; 4, both upside down too."""
    bands: Bands = TRUE_COLOUR
    """Places, counted from 1, of red, green and blue in a TIFF file of more bands than a picture has."""


@dataclass(frozen=True)
class Tokenization:
    """How a note becomes token ids; the vocabulary itself is in the encoder's file or beside it."""

    max_tokens: int
    """Including special tokens, which are always kept; a longer note is cut at its end, and the cut is counted."""
    add_bos: bool
    newline_to_space: bool
    add_eos: bool = False
    """Whether the token that ends a text stands at the end of every note."""


@dataclass(frozen=True)
class TokenizerFile:
    """The vocabulary of a text encoder whose own file has none: a tokenizer.json."""

    file: str
    """Plain name inside the folder that holds the spec."""
    sha256: str
    bytes: int


@dataclass(frozen=True)
class DataFile:
    """The weights of an ONNX file that is too small for them."""

    file: str
    """Plain name inside the folder that holds the spec; the ONNX file names it too."""
    sha256: str
    bytes: int


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder file and how to feed it: with `preprocess` (image) or with `tokenization` (text)."""

    modality: Modality
    format: Format
    file: str
    """Plain name inside the folder that holds the spec."""
    sha256: str
    bytes: int
    precision: str
    """"fp32", "int8", "q8_0", "q4_k_m": how the weights are stored."""
    width: int
    """Length d of the vector."""
    pooling: Pooling
    normalize: bool
    """Whether the vector is L2-normalised."""
    preprocess: Preprocess | None = None
    tokenization: Tokenization | None = None
    tokenizer: TokenizerFile | None = None
    """For a text encoder in ONNX; a GGUF file holds its own vocabulary."""
    data: DataFile | None = None
    """For an ONNX file beyond 2 GB."""
    source: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: name, version or content hash, remarks."""
    licence: str = "unknown"
    recipe: dict[str, Any] = field(default_factory=dict)
    """How the file was made: steps and the versions of the tools."""

    @property
    def total_bytes(self) -> int:
        """Of the file and its data."""
        return self.bytes + (self.data.bytes if self.data else 0)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, just as they read back: lists, no tuples.

        What came later than the first descriptions is left out where it says nothing, so that an encoder's
        description, and with it its identity, is the same as an older edgefuse wrote it.
        """
        data: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        if self.tokenizer is None:
            del data["tokenizer"]
        if self.data is None:
            del data["data"]
        if self.preprocess is not None and self.preprocess.views == 1:
            del data["preprocess"]["views"]
        if self.preprocess is not None and self.preprocess.bands == TRUE_COLOUR:
            del data["preprocess"]["bands"]
        if self.tokenization is not None and not self.tokenization.add_eos:
            del data["tokenization"]["add_eos"]
        return data

    @classmethod
    def from_json(cls, data: Any, modality: Modality | None = None) -> EncoderSpec:
        """Inverse of `to_json`; `data` may be anything that JSON can hold.

        Raises:
            BadInput: `data` is no object, a field is missing, unknown or of the wrong kind, or the encoder is not
                one of `modality`.
        """
        try:
            spec = _read(cls, data)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"The encoder's description cannot be read ({error}); export the encoder again.") from error
        if (spec.modality == "image") != (spec.preprocess is not None) or (spec.modality == "text") != (
            spec.tokenization is not None
        ):
            raise BadInput(f"Nothing says how to feed the encoder {spec.file!r}; export it again.")
        if modality not in (None, spec.modality):
            raise BadInput(f"The encoder {spec.file!r} stands in the place of the {modality} encoder; export it again.")
        problem = _problem(spec)
        if problem:
            raise BadInput(f"The description of the encoder {spec.file!r} is wrong: {problem}; export it again.")
        return spec


def _read(kind: type[T], data: Any) -> T:
    """The dataclass `kind` from its JSON object; TypeError or ValueError says which field is wrong."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} is not an object")
    hints = get_type_hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a field of {kind.__name__}")
    return kind(**{name: _value(hints[name], value, name) for name, value in data.items()})


def _value(kind: Any, value: Any, name: str) -> Any:
    """One field's value, checked against its annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # only X | None is used above
        return None if value is None else _value(arguments[0], value, name)
    if dataclasses.is_dataclass(kind):
        return _read(cast(type, kind), value)
    if origin is tuple and isinstance(value, list | tuple) and len(value) == len(arguments):
        return tuple(_value(inner, item, name) for inner, item in zip(arguments, value, strict=True))
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if origin is dict and isinstance(value, dict):
        return value
    if (origin is Literal and value in arguments) or type(value) is kind:
        return value
    raise TypeError(f"{name} is {str(value)[:40]!r}")


def _problem(spec: EncoderSpec) -> str:
    """What no encoder can be; "" where nothing is wrong."""
    if not _is_plain(spec.file):
        return "its file is not a plain name"
    if spec.width < 1 or spec.bytes < 0:
        return "its width or size is not a positive number"
    if spec.tokenization is not None:
        special = spec.tokenization.add_bos + spec.tokenization.add_eos
        if spec.tokenization.max_tokens < max(1, special):
            return "it reads no token" if special < 2 else "its token limit has no room for both special tokens"
    if (spec.tokenizer is not None) != (spec.modality == "text" and spec.format == "onnx"):
        return "a text encoder in ONNX, and no other, has a tokenizer file"
    if spec.tokenizer is not None:
        if not _is_plain(spec.tokenizer.file) or spec.tokenizer.file == spec.file:
            return "its tokenizer's file is not a plain name of its own"
        if spec.tokenizer.bytes < 0:
            return "its tokenizer's size is not a positive number"
    if spec.data is not None:
        if spec.format != "onnx":
            return "only an ONNX file has its data in another file"
        others = (spec.file, *([spec.tokenizer.file] if spec.tokenizer else []))
        if not _is_plain(spec.data.file) or spec.data.file in others or spec.data.bytes < 0:
            return "its data's file is not a plain name of its own, or its size is not a positive number"
    if spec.preprocess is not None:
        if not 1 <= spec.preprocess.crop <= spec.preprocess.size <= LARGEST_SIDE:
            return f"its crop is not between 1 and its size, or its size is over {LARGEST_SIDE} pixels"
        if min(spec.preprocess.std) <= 0:
            return "a standard deviation is not positive"
        if min(spec.preprocess.bands) < 1:
            return "its bands are not counted from 1"
    return ""


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not any(letter in name for letter in "/\\\0")
