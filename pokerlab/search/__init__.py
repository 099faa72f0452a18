"""Solving public subgames: trees, forests, CFR, best response."""
