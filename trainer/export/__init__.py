"""Trained models for other programs: the accelerator's host, everything that reads timm's weights, and ONNX."""
