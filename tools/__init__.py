"""What builds and packs the project."""
