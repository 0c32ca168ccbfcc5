"""``python3 -m host doctor``: is the board fit to train, and if not, what cures it?"""
