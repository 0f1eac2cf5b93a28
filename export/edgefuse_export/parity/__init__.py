"""Parity: how far an exported encoder is from its source, on real samples."""
