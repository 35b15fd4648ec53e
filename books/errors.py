"""Faults of the books as a whole. The message names the address, the fault, and what a person can do; never a password."""

from __future__ import annotations


class BooksError(Exception):
    """The books cannot be used, and trying again does not help: wrong password, unknown name, old tables."""


class Unavailable(BooksError):
    """The books cannot be read or written now: away, restarting, full, locked for too long. The transaction is rolled back (where the
    connection broke in a commit: committed whole, or not at all). Try again."""
