"""Whether AdamW on the fabric trains as well as AdamW in floating point: by single steps, and by whole trainings."""
