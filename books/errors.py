"""What can be wrong with the books as a whole. The words say where, what, and what a person can do; never a password."""

from __future__ import annotations


class BooksError(Exception):
    """The books cannot be used, and trying again does not help: wrong password, unknown name, old tables."""


class Unavailable(BooksError):
    """The books cannot be read or written now: away, restarting, full, locked for too long. What the transaction was about to do
    is not done (after a commit that was cut off: done whole, or not at all). Try again."""
