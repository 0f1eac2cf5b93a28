"""Encoders and a head become one kit."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.datasets.csv_file import read_rows
from edgefuse.heads import ARRAYS, Head, open_head
from edgefuse.kits.archive import write_archive
from edgefuse.kits.brought import Brought, open_brought
from edgefuse.kits.encoders import Encoders
from edgefuse.kits.evaluation_samples import EvaluationSamples
from edgefuse.kits.golden import FILES, NOTES, PICTURES, golden_vectors
from edgefuse.kits.kit import Kit
from edgefuse.kits.manifest import MANIFEST, SIGNATURE, compose, is_readable, wrong_class_names
from edgefuse.kits.signature import signature_over
from edgefuse.kits.source import hash_files
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256, write_bytes
from edgefuse_runtimes.folders import new_folder, remove_leftover, require_new

Contents = Mapping[str, Path | bytes]
"""A kit's files by their names in it: where each is, or what is in it."""

LEFT_OUT = ("subgroups", "cost", "reliability", "curve")
"""Of the evaluation, at any depth: most of its length, and times, which would make each kit another one."""


@dataclass(frozen=True)
class About:
    """What only a person knows of a kit."""

    purpose: str = ""
    """What it is for."""
    intended_for: str = ""
    """Who may use it, and on whom."""
    limits: tuple[str, ...] = ()
    """What it cannot do, each in a sentence."""
    ram_bytes: int | None = None
    """The most memory that an answer may take on the devices it is meant for."""
    latency_ms: float | None = None
    """The longest that an answer may take there."""
    class_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What classes are called, by language, see `read_class_names`."""
    golden: Mapping[str, str] = field(default_factory=dict)
    """Of golden samples that were given: "consent" of those whom they show, and "licence"; {} for drawn ones."""

    def to_json(self) -> dict[str, Any]:
        """What the manifest says of it: "card", "budget", "class_names" and "golden_source", where they are known."""
        card = {"purpose": self.purpose, "intended_for": self.intended_for, "limits": list(self.limits)}
        budget = {"ram_bytes": self.ram_bytes, "latency_ms": self.latency_ms}
        names = {language: dict(names) for language, names in self.class_names.items()}
        parts: dict[str, dict[str, Any]] = {"card": card, "budget": budget, "class_names": names}
        parts["golden_source"] = dict(self.golden)
        known = {part: {name: value for name, value in said.items() if value} for part, said in parts.items()}
        return {part: said for part, said in known.items() if said}


NOTHING_KNOWN = About()


def pack(
    encoders: Encoders,
    head_folder: Path,
    evaluation: dict[str, Any],
    output: Path,
    *,
    name: str,
    version: str,
    progress: Progress = silent,
) -> Kit:
    """Write the kit folder `output`, which nobody signed, and open it.

    Raises:
        BadInput: as `contents_of` and `write_kit`.
    """
    require_new(output)
    contents = contents_of(encoders, head_folder, evaluation, name=name, version=version)
    write_kit(output, contents, progress=progress)
    return Kit.open(output)


def contents_of(
    encoders: Encoders,
    head_folder: Path,
    evaluation: dict[str, Any],
    *,
    name: str,
    version: str,
    about: About = NOTHING_KNOWN,
    private: Any = None,
    golden: Path | None = None,
    evaluation_samples: EvaluationSamples | None = None,
) -> Contents:
    """All files of a kit, the manifest and its signature first.

    Args:
        encoders: the opened encoders folder.
        head_folder: made by `train`.
        evaluation: of that head.
        name: of the kit.
        version: of the kit.
        about: what only a person knows.
        private: signs it, see `edgefuse.trust.keys.load_private_key`; None: nobody does.
        golden: a folder with golden samples that were given, see `own_golden`; None: those of the encoders folder.
        evaluation_samples: that it is to carry; None: none.

    Raises:
        BadInput: the head was trained on vectors of other encoders, the evaluation is of another head, or name or
            version can be none.
    """
    for what, text in (("name", name), ("version", version)):
        if not is_readable(text):
            raise BadInput(f"The kit's {what} {text!r} is no short, plain text; choose another one.")
    head = open_head(head_folder)
    wrong = wrong_class_names(about.to_json().get("class_names", {}), head.classes)
    if wrong:
        raise BadInput(f"The kit cannot be packed, since {wrong}; repair the table of --class-names.")
    _check_identity(encoders, head, head_folder)
    if evaluation.get("head_sha256") != sha256(head_folder / ARRAYS):
        raise BadInput(f"The evaluation in {head_folder} is of another head; run 'edgefuse evaluate {head_folder}'.")
    files = {file: encoders.file(file) for file in encoders.files} | {ARRAYS: head_folder / ARRAYS}
    if golden is not None:
        files |= {file: golden / file for file in FILES}
    labelled = {}
    if evaluation_samples is not None:
        files |= evaluation_samples.files
        labelled = {"evaluation_samples": evaluation_samples.said}
    images, texts, *_ = (golden_vectors(files.__getitem__, spec) for spec in encoders.specs)  # (k, d_i), (k, d_t)
    probabilities = head.probabilities(texts, images)  # (k, C)
    described: dict[str, Any] = {"image": encoders.image.to_json(), "text": encoders.text.to_json()}
    if encoders.alternatives:
        described["alternatives"] = [spec.to_json() for spec in encoders.alternatives]
    manifest = compose(
        {
            "name": name,
            "version": version,
            "edgefuse": __version__,
            "classes": list(head.classes),
            "encoders": described,
            "head": head.description(),
            "dataset": head.dataset,
            "evaluation": shortened(evaluation),
            "golden": [
                {"image": picture, "text": note, "probabilities": [round(float(p), 6) for p in row]}
                for picture, note, row in zip(PICTURES, NOTES, probabilities, strict=True)
            ],
            **labelled,
            **about.to_json(),
        },
        files,
    )
    signed = {} if private is None else {SIGNATURE: signature_over(manifest, private)}
    return {MANIFEST: manifest, **signed, **dict(sorted(files.items()))}


def require_place(output: Path, *, archive: bool) -> None:
    """Refuse a place at which `write_kit` could not make a kit.

    Raises:
        BadInput: `output` exists, and is not an empty folder for a folder, or is ".", ".." or "/".
    """
    require_new(output)
    if archive and output.exists():
        raise BadInput(f"{output} is a folder, and --archive makes a file; choose another output.")


def kit_at(output: Path, name: str, version: str, *, archive: bool) -> Brought | None:
    """The kit that is at `output` already, and may be the one that is asked for; None where it can be made.

    Raises:
        BadInput: something else is there, or a kit of another name or version.
    """
    try:
        found = open_brought(output)
    except BadInput:
        require_place(output, archive=archive)
        return None
    if (found.kit.name, found.kit.version) != (name, version):
        raise _other(found)
    return found


def require_made(found: Brought, contents: Contents, *, archive: bool) -> None:
    """See that a kit that is there already is the one that `write_kit` would make, so that nothing is to do.

    What a run left beside it that was ended at its very last step is removed.

    Raises:
        BadInput: it is another one, or in another form, or was damaged since.
    """
    path = found.source.path
    if found.manifest != contents[MANIFEST]:
        raise _other(found)
    is_same_form = found.signature == contents.get(SIGNATURE) and found.source.sizes.keys() == contents.keys()
    if archive == path.is_dir() or not is_same_form:
        raise BadInput(
            f"{path} already exists and is this kit with other options (--archive, --thin or --sign), or lacks files; "
            "choose another output or remove it first."
        )
    try:
        hash_files(found.source, found.kit.files)
    except BadInput as error:
        raise BadInput(f"{path} is this kit and was damaged since; remove it and pack again.") from error
    remove_leftover(path)


def _other(found: Brought) -> BadInput:
    return BadInput(
        f"{found.source.path} already exists and is another kit ({found.kit.name} {found.kit.version}); "
        "choose another output or remove it first."
    )


def write_kit(output: Path, contents: Contents, *, archive: bool = False, progress: Progress = silent) -> None:
    """Write a kit's files as the new folder or the new archive `output`.

    Raises:
        BadInput: `output` exists.
    """
    require_place(output, archive=archive)
    if archive:
        write_archive(output, contents, progress)
        return
    with new_folder(output) as folder:
        for name in progress("copying into the kit", contents, len(contents)):
            content = contents[name]
            (folder / name).parent.mkdir(exist_ok=True)
            if isinstance(content, bytes):
                write_bytes(folder / name, content)
            else:
                shutil.copyfile(content, folder / name)


def thinned(contents: Contents, encoders: Encoders) -> Contents:
    """The same kit without what comes from the encoders folder, for devices that have it; the manifest is the same."""
    theirs = {name: encoders.file(name) for name in encoders.files}
    return {name: content for name, content in contents.items() if name not in theirs or content != theirs[name]}


def read_class_names(path: Path) -> dict[str, dict[str, str]]:
    """What classes are called, by language, out of a CSV table: the column `class`, and one for each language.

    Raises:
        BadInput: it is no such table.
    """
    names: dict[str, dict[str, str]] = {}
    for row in read_rows(path, ["class"]):
        for language, name in row.items():
            if language != "class" and name:
                names.setdefault(language, {})[row["class"]] = name
    if not names:
        raise BadInput(f"{path} names no class; give it the column 'class' and one for each language, such as 'fr'.")
    return names


def shortened(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What a kit takes over of an evaluation: no answer needs the rest, and each one reads the whole manifest."""
    return {
        name: shortened(part) if isinstance(part, dict) else part
        for name, part in evaluation.items()
        if name not in LEFT_OUT
    }


def _check_identity(encoders: Encoders, head: Head, head_folder: Path) -> None:
    for modality, identity in encoders.identity.items():
        known = dict(head.encoders.get(modality, {}))
        imported = known.pop("imported", False)
        if known == identity:
            continue
        if imported:
            raise BadInput(
                f"The head {head_folder} was trained on imported {modality} vectors of "
                f"{known.get('name', 'another encoder')!r}, and nothing says that the encoder in {encoders.folder} "
                "gives the same; run 'edgefuse extract' with it, or import the table again with --encoders if it made "
                "them."
            )
        raise BadInput(
            f"The head {head_folder} was trained on vectors of another {modality} encoder than the one in "
            f"{encoders.folder}; run 'edgefuse extract' and 'edgefuse train' with these encoders."
        )
