"""The parity tool: golden model against C simulation, instruction by instruction, and against float64."""
