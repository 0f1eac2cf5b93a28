"""Embedding tables in the formats of others: one module for each layout, read some rows at a time."""
