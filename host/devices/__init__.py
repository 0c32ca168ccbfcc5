"""Devices: one file each, all of the interface `host.device.Device`."""
