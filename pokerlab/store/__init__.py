"""A run's folder: its files, its state, its process. Knows no config, no game and, where it can, no torch."""
