"""A run: its folder, its record, starting it."""
