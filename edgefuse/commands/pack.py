"""`edgefuse pack`: encoders and a head become one field kit."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, FiniteRange, private_key, say_leaks

EXAMPLE = """\b
Examples: edgefuse pack --encoders E --head H --name ham-mini --output ham-mini.kit
          edgefuse pack --encoders E --head H --name ham-mini --sign KEY --archive --output ham-mini.kit"""


@click.command("pack", epilog=EXAMPLE)
@click.option("--encoders", "encoders_folder", type=FOLDER, required=True, help="Made by 'edgefuse export'.")
@click.option("--head", "head_folder", type=FOLDER, required=True, help="Made by 'edgefuse train'.")
@click.option("--name", required=True, help="What the kit is called in every answer.")
@click.option("--version", default="1", show_default=True, help="The kit's own version.")
@click.option("--output", type=FOLDER, required=True, help="The kit: a new folder, or with --archive a new file.")
@click.option("--archive", is_flag=True, help="Write one plain tar file; the same kit gives the same bytes.")
@click.option(
    "--thin",
    is_flag=True,
    help="Leave out encoders and golden samples, for devices that have a kit with the same encoders installed.",
)
@click.option(
    "--sign",
    "key",
    type=FOLDER,
    metavar="KEY",
    help="Sign the kit with this ssh Ed25519 private key, as 'ssh-keygen -t ed25519' makes one.",
)
@click.option("--purpose", default="", metavar="WORDS", help="For the model card: what the kit is for.")
@click.option("--intended-for", default="", metavar="WORDS", help="For the model card: who may use it, and on whom.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="WORDS",
    help="For the model card: what the kit cannot do; may be given several times.",
)
@click.option(
    "--budget-mib",
    type=click.IntRange(1, 1 << 24),
    metavar="MIB",
    help="The most memory that an answer may take on the devices it is meant for; 'edgefuse verify' measures it.",
)
@click.option(
    "--budget-ms",
    type=FiniteRange(min=0, min_open=True),
    metavar="MS",
    help="The longest that an answer may take there.",
)
@click.option(
    "--class-names",
    "class_names",
    type=FOLDER,
    metavar="TABLE.csv",
    help="What people call the classes: the column 'class', and one for each language, such as 'fr'.",
)
@click.option(
    "--golden",
    "golden_folder",
    type=FOLDER,
    metavar="DIR",
    help="Golden samples of your own in place of drawn ones: 8 pictures with their notes, as 1.jpg and 1.txt.",
)
@click.option("--golden-consent", default="", metavar="WORDS", help="Who agreed that they travel in every kit.")
@click.option("--golden-licence", default="", metavar="WORDS", help="Under which licence they do.")
@click.option(
    "--evaluation-samples",
    "evaluation_source",
    type=FOLDER,
    metavar="DIR|TABLE.csv",
    help="Labelled pictures with notes that the head never saw, with which 'edgefuse bench run' tells accuracy on a "
    "device: a table with the columns image, text and label, or a folder with a folder for each class.",
)
@click.option("--evaluation-consent", default="", metavar="WORDS", help="Who agreed that they travel in every kit.")
@click.option("--evaluation-licence", default="", metavar="WORDS", help="Under which licence they do.")
def command(
    encoders_folder: Path,
    head_folder: Path,
    name: str,
    version: str,
    output: Path,
    archive: bool,
    thin: bool,
    key: Path | None,
    purpose: str,
    intended_for: str,
    limits: tuple[str, ...],
    budget_mib: int | None,
    budget_ms: float | None,
    class_names: Path | None,
    golden_folder: Path | None,
    golden_consent: str,
    golden_licence: str,
    evaluation_source: Path | None,
    evaluation_consent: str,
    evaluation_licence: str,
) -> None:
    """Put encoders, head, golden samples and evaluation into one kit that a device needs nothing beside.

    A head that was not evaluated yet is evaluated first. A head of other encoders is refused. The same command again,
    after an interruption too, finds the kit made and has nothing to do.
    """
    from edgefuse.evaluation.record import evaluate_folder
    from edgefuse.heads import EVALUATION, open_head
    from edgefuse.kits.encoders import Encoders
    from edgefuse.kits.evaluation_samples import write_evaluation_samples
    from edgefuse.kits.own_golden import write_own_golden
    from edgefuse.kits.packing import About, contents_of, kit_at, read_class_names, require_made, thinned, write_kit
    from edgefuse.progress import bar, in_bytes
    from edgefuse.trust.keys import public_of
    from edgefuse_runtimes.files import read_json, require_name
    from edgefuse_runtimes.folders import remove_leftover, scratch_folder

    for option, prefix, *together in (
        ("--golden", "--golden", golden_folder, golden_consent, golden_licence),
        ("--evaluation-samples", "--evaluation", evaluation_source, evaluation_consent, evaluation_licence),
    ):
        if any(together) and not all(together):
            raise click.UsageError(f"{option} needs {prefix}-consent and {prefix}-licence, and they need it.")
    require_name(output)
    given = output.with_name(f"{output.name}.samples")
    remove_leftover(given)  # people's pictures, of a run that was killed
    there = kit_at(output, name, version, archive=archive)
    private = None if key is None else private_key(key)
    encoders = Encoders.open(encoders_folder)
    path = head_folder / EVALUATION
    again = f"run 'edgefuse evaluate {head_folder}' again"
    evaluation = read_json(path, again) if path.exists() else evaluate_folder(head_folder)
    names = {} if class_names is None else read_class_names(class_names)
    about = About(purpose, intended_for, limits, budget_mib and budget_mib << 20, budget_ms, names)
    with ExitStack() as stack:
        golden = labelled = None
        if golden_folder is not None or evaluation_source is not None:
            scratch = stack.enter_context(scratch_folder(given))
        if evaluation_source is not None:
            labelled = write_evaluation_samples(
                evaluation_source, open_head(head_folder), encoders.image, scratch,
                consent=evaluation_consent, licence=evaluation_licence, progress=bar,
            )  # fmt: skip
            for sentence in labelled.remarks:
                click.echo(sentence, err=True)
        if golden_folder is not None:
            golden = scratch
            write_own_golden(golden_folder, encoders, golden, bar)
            about = replace(about, golden={"consent": golden_consent, "licence": golden_licence})
        contents = contents_of(
            encoders, head_folder, evaluation,
            name=name, version=version, about=about, private=private, golden=golden, evaluation_samples=labelled,
        )  # fmt: skip
        if thin:
            contents = thinned(contents, encoders)
        if there is not None:
            require_made(there, contents, archive=archive)
            click.echo(f"{output} is made already, of these encoders and this head; nothing to do.", err=True)
            return
        write_kit(output, contents, archive=archive, progress=bar)
        size = sum(
            len(content) if isinstance(content, bytes) else content.stat().st_size for content in contents.values()
        )
    signed = "not signed" if private is None else f"signed by {public_of(private).fingerprint}"
    click.echo(f"{output}: kit {name} {version}, {len(evaluation['classes'])} classes, {in_bytes(size)}, {signed}.")
    say_leaks(evaluation["dataset"], err=True)
