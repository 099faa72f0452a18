"""What is learned, and how: one readable file an algorithm."""
