"""Training a head again and again: for many shifts, both kinds of fusion and several seeds."""
