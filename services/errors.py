"""What a service answers where it cannot do what was asked for."""

from __future__ import annotations


class ServiceError(Exception):
    """Nothing was changed; the text is for a person: what is wrong, where, and what to do. Services raise kinds of it."""


class BadArgument(ServiceError):
    """What was given is malformed."""


class NoInstallation(ServiceError):
    """There is nothing at this home yet."""


class InUse(ServiceError):
    """A part or another command works in this home."""


class UnknownName(ServiceError):
    """A tenant, switch, order or credential of this name does not exist."""
