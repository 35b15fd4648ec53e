"""What a person may do: rights by role, roles by tenant. Pure.

>>> anna = rights_of([("t1", "analyst"), ("t2", "read-only")])
>>> may(anna, "block", "t1"), may(anna, "block", "t2"), may(anna, "look", "t3")
(True, False, False)
>>> may(rights_of([("", "fraud-lead")]), "approve", "t9")  # "" = every tenant
True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

Right = Literal[
    "look",  # traffic, calls, subjects and health, with masked numbers
    "fraud",  # alerts, blocks and lists
    "numbers",  # whole telephone numbers
    "block",  # block, unblock, take an alert
    "approve",  # approve and deny waiting orders; change the lists
    "rates",  # price lists, quotes and margins
    "decks",  # import, activate and roll back price lists
    "money",  # look at invoices, reconciliations, disputes and controls
    "settle",  # approve and issue invoices, record payments, reconcile, dispute, ask the controls
    "export",  # take rows out
    "people",  # who has which role
]
EVERY = frozenset(get_args(Right))

ROLES: Mapping[str, frozenset[Right]] = {
    "analyst": frozenset({"look", "fraud", "numbers", "block", "rates"}),
    "fraud-lead": frozenset({"look", "fraud", "numbers", "block", "approve", "rates", "export"}),
    "finance": frozenset({"look", "rates", "money", "settle", "export"}),
    "carrier-manager": frozenset({"look", "rates", "decks", "export"}),
    "tenant-admin": EVERY,
    "read-only": frozenset({"look", "fraud", "rates", "money"}),
}

Rights: TypeAlias = Mapping[str, frozenset[Right]]
"""Tenant ("" = every tenant) -> what a person may do there."""


def rights_of(roles: Iterable[tuple[str, str]]) -> Rights:
    """The rights of (tenant, role) pairs; a role of a later release gives none."""
    found: dict[str, frozenset[Right]] = {}
    for tenant, role in roles:
        found[tenant] = found.get(tenant, frozenset()) | ROLES.get(role, frozenset())
    return found


def may(rights: Rights, right: Right, tenant: str) -> bool:
    """Whether the rights hold for a tenant; `tenant` "" = for all of them together."""
    return right in rights.get("", frozenset()) or (tenant != "" and right in rights.get(tenant, frozenset()))


def manages(rights: Rights, roles: Iterable[tuple[str, str]]) -> bool:
    """Whether a person may reset or disable one with these roles: only where all of them are of tenants whose people the person manages. One
    with a role elsewhere, or none, is for who manages every tenant.

    >>> admin = rights_of([("t1", "tenant-admin")])
    >>> manages(admin, [("t1", "analyst")]), manages(admin, [("t1", "analyst"), ("t2", "finance")]), manages(admin, [])
    (True, False, False)
    """
    tenants = {tenant for tenant, _ in roles} or {""}
    return all(may(rights, "people", tenant) for tenant in tenants)
