"""`python -m edgefuse` is the same as `edgefuse`."""

from edgefuse.cli import run

run()
