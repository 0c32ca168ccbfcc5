"""What `python -m trainer.train` is made of: one idea a file."""
