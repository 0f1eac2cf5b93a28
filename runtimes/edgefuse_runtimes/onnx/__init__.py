"""ONNX files on the device: read without the onnx package, run by onnxruntime or by numpy alone."""
