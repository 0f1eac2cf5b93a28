"""`edgefuse bench compare`: did it become slower?"""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, FiniteRange

EXAMPLE = """\b
Examples: edgefuse bench compare before.json after.json
          edgefuse bench compare before/ after/ --max-slowdown 10 --max-growth 5"""

PERCENT = FiniteRange(min=0)


@click.command("compare", epilog=EXAMPLE)
@click.argument("files", metavar="A.json B.json...", type=FOLDER, nargs=-1, required=True)
@click.option(
    "--max-slowdown",
    type=PERCENT,
    metavar="PERCENT",
    help="End with exit code 5 where an answer takes longer by more than this.",
)
@click.option(
    "--max-growth",
    type=PERCENT,
    metavar="PERCENT",
    help="End with exit code 5 where the peak memory is larger by more than this.",
)
def compare(files: tuple[Path, ...], max_slowdown: float | None, max_growth: float | None) -> None:
    """Compare results of 'bench run --json': A.json is the baseline, every other file is set against it.

    A folder stands for all its .json files: results of one configuration are repeats of each other. Configurations are
    matched by scenario, kit, engines, precisions and threads; two files of one configuration each are compared
    whatever differs between them, and it is said.

    A ratio's interval holds the true one 19 times in 20: it comes from what differs between the processes of a side, or
    of one process each from what changes within them, which is less. A verdict is given where all of the interval lies
    on one side of 1; otherwise there is "no difference shown".

    A check fails (exit code 5) only where all of the interval lies beyond what is allowed: noise alone seldom does
    that, and a change near the limit passes. More processes of each side see smaller changes. A check refuses (exit
    code 2) times of two machines, of an emulator, or of a single process.
    """
    from edgefuse_bench.compare.guard import exceeded
    from edgefuse_bench.compare.judging import judge
    from edgefuse_bench.compare.matching import match
    from edgefuse_bench.compare.page import page
    from edgefuse_bench.inputs import read_file_or_folder
    from edgefuse_runtimes.errors import BadInput, TooSlow

    if len(files) < 2:
        raise BadInput(f"Nothing is compared with {files[0]}; name a second file.")
    (before, baseline), *candidates = [(path, read_file_or_folder(path)) for path in files]
    broken = []
    for path, results in candidates:
        found = match(baseline, results)
        if not found.pairs:
            raise BadInput(f"{before} and {path} have no configuration in common; measure the same one twice.")
        comparisons = [judge(pair) for pair in found.pairs]
        names = told_apart(before, path)
        for comparison in comparisons:
            click.echo("\n".join([*page(comparison, names), ""]))
        for name, alone in zip(names, (found.only_baseline, found.only_candidate), strict=True):
            for configuration in alone:
                click.echo(f"{name} alone has {configuration}.", err=True)
        slowdown, growth = (None if percent is None else percent / 100 for percent in (max_slowdown, max_growth))
        broken += [f"{path}: {words}" for words in exceeded(comparisons, max_slowdown=slowdown, max_growth=growth)]
    if broken:
        raise TooSlow(f"{'; '.join(broken)}.")


def told_apart(one: Path, other: Path) -> tuple[str, str]:
    """The files' names, with their folders where the names are the same."""
    before, after = one.absolute(), other.absolute()
    if before.name != after.name:
        return before.name, after.name
    return f"{before.parent.name}/{before.name}", f"{after.parent.name}/{after.name}"
