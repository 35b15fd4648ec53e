"""Errors of the services."""

from __future__ import annotations


class ServiceError(Exception):
    """Nothing was changed; the text is for a person: what is wrong, where, and what to do. The base of all errors of the services."""


class BadArgument(ServiceError):
    """An argument is malformed."""


class NoInstallation(ServiceError):
    """There is no installation at this home yet."""


class InUse(ServiceError):
    """A part or another command is using this home."""


class UnknownName(ServiceError):
    """A tenant, switch, order or credential of this name does not exist."""
