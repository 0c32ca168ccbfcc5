"""Power and energy of the board, measured by its own current monitors."""
