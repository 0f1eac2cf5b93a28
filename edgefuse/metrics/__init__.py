"""How good predictions are: pure functions over labels and probabilities."""
