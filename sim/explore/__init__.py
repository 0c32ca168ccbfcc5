"""Searches sizes of the accelerator under a device's limits: `python -m sim.explore`."""
