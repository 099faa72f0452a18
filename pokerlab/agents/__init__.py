"""What acts at a table: policy networks, search, tabular strategies, baselines."""
