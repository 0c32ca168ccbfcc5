"""Images and labels for training: data sets of every supported kind, and the loaders that bring them to the device."""
