"""Makes the folder that is copied to a board: host program, wheel, programs, weights, bitstream, checksums."""
