"""Classifiers of audio that people already have, as explainers: JAX, PyTorch, Hugging Face, ONNX, any function."""
