"""What stands in for the board: golden model, C simulation and the programs that compare them."""
