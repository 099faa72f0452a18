"""From trajectories to training batches."""
