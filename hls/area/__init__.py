"""Resources of the rendered kernels, estimated from their source: `python -m hls.area CONFIG...`."""
