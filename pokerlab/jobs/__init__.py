"""Launchers, and following runs: here and on Modal."""
