"""Runs and leagues: curves, logs, matrices, and the commands that start, stop and resume them."""
