"""Text protocols that other programs speak: the ACPC's dealer, and UPI of solvers."""
