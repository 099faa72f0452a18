"""Trains poker agents by self-play and search, and proves how good they are."""
