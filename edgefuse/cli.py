"""The `edgefuse` command: a static table of verbs, each imported only when it is called."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module

import click

from edgefuse import __version__
from edgefuse.platforms import require_supported
from edgefuse_runtimes.errors import BadInput, DoesNotFit, EdgefuseError


@dataclass(frozen=True)
class Verb:
    """Where a verb lives and what `--help` says of it."""

    module: str
    """Holds a click command named `command`."""
    summary: str


VERBS = {
    "starter": Verb("edgefuse_export.commands.starter", "Build the starter kit from encoders on the package registry."),
    "export": Verb("edgefuse_export.commands.export", "Turn pretrained encoders into small, fast files."),
    "datasets": Verb("edgefuse.commands.datasets", "List the data sets that can be read, and how."),
    "extract": Verb("edgefuse.commands.extract", "Run the encoders over a data set: the embedding table."),
    "embeddings": Verb("edgefuse.commands.embeddings", "Import, export or show an embedding table."),
    "gap": Verb("edgefuse.commands.gap", "Measure the gap between text and image, and how widely each is spread."),
    "align": Verb("edgefuse.commands.align", "Fit the alignment alone, and tell what it does."),
    "train": Verb("edgefuse.commands.train", "Fit the alignment and train the head on an embedding table."),
    "sweep": Verb("edgefuse.commands.sweep", "Train heads for many shifts and seeds, and draw what the shift does."),
    "evaluate": Verb("edgefuse.commands.evaluate", "Judge a trained head on the test rows."),
    "raw": Verb("edgefuse_export.commands.raw", "Train the baseline that reads pictures and notes themselves."),
    "study": Verb("edgefuse.commands.study", "Train and judge heads of several encoders, seeds and folds; report."),
    "pack": Verb("edgefuse.commands.pack", "Put encoders and head into one field kit."),
    "plan": Verb("edgefuse.commands.plan", "Tell whether a kit would run on a device, and what to change if not."),
    "installer": Verb("edgefuse_packaging.commands.installer", "Put a kit and all it needs into one file for a stick."),
    "kits": Verb("edgefuse.commands.kits", "Install kits on this device, and choose the one that it uses."),
    "verify": Verb("edgefuse.commands.verify", "Check a kit, and replay its golden samples on this device."),
    "classify": Verb("edgefuse.commands.classify", "Answer for one picture and its note, offline."),
    "ask": Verb("edgefuse.commands.ask", "Answer in a conversation, for people who do not type commands."),
    "results": Verb("edgefuse.commands.results", "List, show, export or purge the answers that were stored."),
    "doctor": Verb("edgefuse.commands.doctor", "Tell whether this machine can answer, and what would help."),
    "tune": Verb("edgefuse_bench.commands.tune", "Choose engine, threads and precision by measuring on this device."),
    "bench": Verb("edgefuse_bench.commands.bench", "Measure what a kit costs on this device."),
    "completion": Verb("edgefuse.commands.completion", "Print the completion script of a shell."),
}


class VerbGroup(click.Group):
    """A group whose commands are looked up in the table, so that `--help` imports none of them."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The verbs in the order of a kit's life."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import and return one verb's command."""
        if name not in VERBS:
            return None
        if name != "doctor":  # which says the same, and more
            require_supported()
        command = import_module(VERBS[name].module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table into the help page."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])


@click.group(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: edgefuse classify img.jpg --text notes.txt --kit my.kit",
)
@click.version_option(__version__, prog_name="edgefuse")
def main() -> None:
    """Image + text classification with frozen foundation models, on a small device with no network.

    In the workshop: export, extract, train, evaluate, pack (or starter, which does them all). In the field: kits,
    verify, ask, classify, results, doctor.
    """


def run() -> None:
    """Run the command line; end the process with one of the documented exit codes."""
    # A polite request to end is as good as Ctrl-C: what is half written goes away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main.main(prog_name="edgefuse", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        _complain("interrupted; nothing was left half written.")
        sys.exit(130)
    except click.UsageError as error:
        page = error.ctx.command_path if error.ctx else "edgefuse"
        _complain(f"{error.format_message().rstrip('.')}; see '{page} --help'.")
        sys.exit(2)
    except click.ClickException as error:
        _complain(error.format_message())
        sys.exit(2)
    except EdgefuseError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not try to flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = error.filename or "a file"
        _complain(
            f"{place} cannot be read or written ({error.strerror}); check the path, its permissions and the disk."
        )
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        sys.exit(DoesNotFit.exit_code if full else BadInput.exit_code)
    except MemoryError:
        _complain("there is not enough memory for this; close other programs or use a smaller kit.")
        sys.exit(DoesNotFit.exit_code)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence instead of a traceback
        if os.environ.get("EDGEFUSE_DEBUG"):
            traceback.print_exc()
        kind = type(error).__name__
        _complain(f"this is a fault in edgefuse ({kind}: {error}); set EDGEFUSE_DEBUG=1 to see where, and report it.")
        sys.exit(1)


def _complain(sentence: str) -> None:
    click.echo(f"edgefuse: {sentence}", err=True)
