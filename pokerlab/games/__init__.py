"""The rules of games."""
