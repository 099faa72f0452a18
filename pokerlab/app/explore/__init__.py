"""Explore: set up a spot of hold'em, solve it, walk its tree."""
