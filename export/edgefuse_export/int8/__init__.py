"""Int8 ONNX: the blocks of a transformer found in its graph, made easy to round, and rounded with care."""
