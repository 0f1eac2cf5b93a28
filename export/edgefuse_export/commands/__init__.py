"""The verbs of the workshop that need the `export` extra."""
