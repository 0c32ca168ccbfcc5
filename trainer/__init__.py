"""Training in PyTorch: the float models, tri-level sparsity and weight import."""
