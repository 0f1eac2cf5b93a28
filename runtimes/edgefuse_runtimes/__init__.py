"""All that computes on the device: encoders, tokenizers, alignment, fusion. Needs numpy and Pillow only."""
