"""Playing agents."""
