"""Tests of all rooms. A package, because pynq installs one of the same name."""
