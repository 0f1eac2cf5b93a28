"""All that computes on the device: encoders, tokenizers, alignment, fusion. Needs numpy and Pillow only."""

import os

# From 1.29 on, onnxruntime's Linux wheels set up the collection of usage data as soon as they are imported, unless
# this is set before. Set here, it holds for whatever imports onnxruntime later, worker processes included.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
