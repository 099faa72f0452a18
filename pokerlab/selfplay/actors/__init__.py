"""Where self-play runs: in the process that trains, or in others."""
