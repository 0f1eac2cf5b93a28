"""Many samples with one classifier."""
