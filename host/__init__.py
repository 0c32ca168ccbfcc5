"""What drives the accelerator; numpy only, for it runs on the board."""
