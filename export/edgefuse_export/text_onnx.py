"""A text encoder of BERT's or CLIP's kind as a small ONNX file for one note of any length, with its tokenizer."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.progress import Progress, silent
from edgefuse_export import free_length, graph, model_file, sentence_transformers, text_families
from edgefuse_export.calibration import calibration_notes
from edgefuse_export.int8.convert import make_int8, make_lean
from edgefuse_export.int8.recipe import DEFAULT
from edgefuse_export.parity.source import Reference, ignore
from edgefuse_export.precision import Choice, file_name, precisions
from edgefuse_export.room import work_folder
from edgefuse_export.sources import TORCH_TOOLS, Origin, origin_of, read_config, read_object, tool_versions
from edgefuse_export.text_families import CLIP, TEXT_FAMILIES, TextFamily
from edgefuse_export.torch_models import load_config
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.spec import EncoderSpec, Pooling, Tokenization, TokenizerFile
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_from_json
from edgefuse_runtimes.tokenizers.clip_bpe import ClipBpe
from edgefuse_runtimes.tokenizers.wordpiece import WordPiece

TOKENIZER = "tokenizer.json"


def export_onnx_text_encoders(
    source: Path,
    folder: Path,
    progress: Progress = silent,
    *,
    origin: Origin | None = None,
    precision: Choice = "int8",
    pooling: Pooling | None = None,
    reference: Reference = ignore,
) -> list[EncoderSpec]:
    """Write `text.onnx` and `tokenizer.json` into `folder`, with "both" `text-fp32.onnx` too; their specs, main first.

    Args:
        source: a Hugging Face folder of a type in `TEXT_FAMILIES`, with a tokenizer.json.
        folder: an existing folder.
        progress: shows the steps.
        origin: what to record as the source; found out where it is not given.
        precision: "int8", "fp32" for the float32 graph, or "both", of which int8 is the main one.
        pooling: which hidden state stands for the note; where it is not given, as the source says.
        reference: given the graph before folding and the main spec, to compare the files with.

    Raises:
        BadInput: the source cannot be used, or the extra "export-torch" is not installed.
    """
    family = TEXT_FAMILIES[read_config(source)["model_type"]]
    stated = sentence_transformers.read_settings(source, pooling)
    chosen = _choose_pooling(source, family, stated.pooling)
    content = _read_tokenizer(source)
    tokenizer = tokenizer_from_json(content, str(source / TOKENIZER))
    if not isinstance(tokenizer, WordPiece | ClipBpe):
        raise BadInput(
            f"{source / TOKENIZER} is of neither BERT's nor CLIP's kind, as its model is; the two must belong together."
        )
    config = load_config(source, "text_config")
    _check_tokenizer(source, tokenizer, family, config, stated.lower_case)
    tokenization = _tokenization(source, config, stated.max_tokens)
    model = text_families.load(source, family, config, progress)
    specs: list[EncoderSpec] = []
    steps = [f"PyTorch model traced to ONNX: {family.model}, {family.output}, one note without padding"]
    with work_folder(folder) as work:
        traced, plain, fp32, lean = (work / f"{name}.onnx" for name in ("traced", "plain", "fp32", "lean"))
        ids = [tokenize(tokenizer, tokenization, note).ids for note in calibration_notes()]  # n of (t,)
        text_families.trace(model, ids[0], source, traced, progress)
        for _ in progress("folding the text encoder", [None], 1):
            free_length.fix_reshapes(traced, plain)
            opset = graph.fold_for_notes(plain, fp32, ids[0].astype(np.int64))
        steps.append("shapes fixed but for the length of the note, constants folded (onnxruntime, basic)")
        samples = [note[None].astype(np.int64) for note in ids]  # n of (1, t)
        steps += make_lean(fp32, lean, samples[:2], first_token=chosen == "cls")
        (folder / TOKENIZER).write_bytes(content)
        origin = origin or origin_of(source)
        common = EncoderSpec(
            modality="text",
            format="onnx",
            file="",
            sha256="",
            bytes=0,
            precision="",
            width=graph.output_shape(lean)[-1],
            pooling=chosen,
            normalize=family.normalize or stated.normalize,
            tokenization=tokenization,
            tokenizer=TokenizerFile(TOKENIZER, sha256(folder / TOKENIZER), len(content)),
            source=origin.source,
            licence=origin.licence,
        )
        for each in precisions(precision):
            target = folder / file_name("text", each, precision)
            done = list(steps)
            if each == "int8":
                make_int8(lean, target, samples, DEFAULT, progress)
                done += [*DEFAULT.steps, f"calibrated on {len(samples)} sentences and drawn notes"]
            else:
                model_file.move(lean, target)
            recipe: dict[str, Any] = {
                "steps": done,
                "opset": opset,
                "tools": tool_versions(TORCH_TOOLS),
            }
            specs.append(dataclasses.replace(model_file.described(common, target, each), recipe=recipe))
        reference(traced, specs[0])
    return specs


def _choose_pooling(source: Path, family: TextFamily, wanted: Pooling | None) -> Pooling:
    if wanted in (None, *family.poolings):
        return wanted or family.poolings[0]
    if family is CLIP:
        raise BadInput(
            f"{source} holds a CLIP, whose vector is the projected end token alone, and not pooled by {wanted}; "
            "leave --pooling out."
        )
    can = " or ".join(family.poolings)
    raise BadInput(f"{source} holds a {family.model}, whose vector is {can}, and not pooled by {wanted}; choose one.")


def _read_tokenizer(source: Path) -> bytes:
    path = source / TOKENIZER
    if not path.is_file():
        raise BadInput(
            f"{source} has no {TOKENIZER}; write one with transformers (AutoTokenizer.from_pretrained, "
            "save_pretrained) or fetch the model's folder again."
        )
    return path.read_bytes()


def _tokenization(source: Path, config: Any, stated: int | None) -> Tokenization:
    """The lowest of all limits counts."""
    limit = min(config.max_position_embeddings, stated or math.inf, _model_max_length(source))
    if limit < 2:
        raise BadInput(f"{source} reads {limit:g} tokens, which is less than its special tokens; correct its config.")
    return Tokenization(int(limit), add_bos=True, newline_to_space=False, add_eos=True)


def _check_tokenizer(
    source: Path, tokenizer: WordPiece | ClipBpe, family: TextFamily, config: Any, lower_case: bool
) -> None:
    """Refuse a tokenizer of another model."""
    if lower_case and tokenizer.encode("A") != tokenizer.encode("a"):
        raise BadInput(f"{source} asks for notes in lower case, and its tokenizer does not see to it; correct either.")
    highest = max(tokenizer.size - 1, tokenizer.bos_id, tokenizer.eos_id)
    if highest >= config.vocab_size:
        raise BadInput(
            f"{source / TOKENIZER} has ids up to {highest}, its model knows {config.vocab_size} tokens; "
            "the two must belong together."
        )
    if family is CLIP:
        # The state that counts is that of the end token, which stands last here. transformers looks for its id, or
        # in configs that say 2 (written before it did) for the highest id of the note.
        ends = highest if config.eos_token_id == 2 else config.eos_token_id
        if tokenizer.eos_id != ends:
            raise BadInput(
                f"{source / TOKENIZER} ends a text with the id {tokenizer.eos_id}, its model with {ends}; "
                "the two must belong together."
            )


def _model_max_length(source: Path) -> float:
    """The limit in tokenizer_config.json, infinite where it states none; transformers writes 1e30 for none."""
    path = source / "tokenizer_config.json"
    stated = read_object(path).get("model_max_length") if path.is_file() else None
    return stated if isinstance(stated, int | float) and stated > 0 else math.inf
