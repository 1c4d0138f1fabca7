"""Errors that a user can act on: one message, no traceback."""


class UserError(Exception):
    """Bad parameters or bad input. The message names file, line or key, and what to do. Exit code 2."""


class MissingMart(UserError):
    """A mart that a notebook needs has not been built yet."""
