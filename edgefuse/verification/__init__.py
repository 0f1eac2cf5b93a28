"""Whether a kit is what was packed, and whether this device computes with it what it should."""
