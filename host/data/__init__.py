"""Images and labels for training on the board: numpy only, Pillow where pictures must be decoded or resized."""
