"""`python -m edgefuse` is the same as `edgefuse`."""

from edgefuse.cli import run

if __name__ == "__main__":  # a worker process imports this too
    run()
