"""Figures: one module each, from plain arrays to a matplotlib figure in one style."""
