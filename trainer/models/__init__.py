"""Models in the shape of timm's, with the same state-dict keys."""
