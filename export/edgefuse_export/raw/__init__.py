"""The raw baseline: BERT and ViT with the same heads on top, for comparison with frozen vectors. Workshop only."""
