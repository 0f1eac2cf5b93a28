"""GGUF files: read without any package but numpy, run by numpy or by llama.cpp."""
