"""Checks that need no vendor tool: scripts under tclsh, the test bench under g++, registers against their table."""
