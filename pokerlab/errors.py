"""Errors that a user can cause, and can mend."""


class UserError(Exception):
    """Ends a command with this message on one line and exit code 2."""
