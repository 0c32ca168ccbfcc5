"""Batched augmentation on the training device; all randomness of a step is a function of one seed."""
