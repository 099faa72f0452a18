"""Speed: against peers in the same run, end to end, and as sizes grow."""
