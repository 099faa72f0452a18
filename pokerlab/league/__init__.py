"""Populations: members, what they win of each other, how they are mixed, and what comes next."""
