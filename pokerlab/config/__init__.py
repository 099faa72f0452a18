"""From a command line to objects: Hydra, checks, errors that name the key."""
