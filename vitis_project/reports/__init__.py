"""Readers of what the vendor's tools report, and the baselines that are kept of it."""
