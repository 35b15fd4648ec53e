"""Where notifications go: checked before it is stored."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from books import Connection, notifications, tenants
from core.notify import NEVER, SEVERITIES, Target, days_of, hours_of
from core.safety import is_table_name
from services.errors import BadArgument, ServiceError, UnknownName

MOST_AFTER_MS = 24 * 3_600_000


def add(conn: Connection, target: Target, why: str) -> Target:
    """Adds a target, or changes it; a webhook keeps its secret, or gets one. Raises `ServiceError`."""
    if not why.strip():
        raise ServiceError("Enter a reason: it is recorded in the audit log.")
    if wrong := fault_of(target):
        raise BadArgument(wrong)
    if target.tenant and target.tenant not in tenants.every(conn):
        raise UnknownName(f"There is no tenant {target.tenant!r}.")
    old = next((one for one in notifications.targets(conn) if one.name == target.name), None)
    if target.kind == "webhook" and not target.secret:
        kept = old.secret if old and old.kind == "webhook" and old.address == target.address else ""
        target = target._replace(secret=kept or "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())
    notifications.add_target(conn, target, why)
    return target


def remove(conn: Connection, name: str, who: str, why: str, now_ms: int) -> None:
    """Removes a target. Raises `ServiceError`."""
    if not why.strip():
        raise ServiceError("Enter a reason: it is recorded in the audit log.")
    if not notifications.remove_target(conn, name, who, why, now_ms):
        raise UnknownName(f"Nobody is notified under the name {name!r}.")


def find(conn: Connection, name: str) -> Target:
    """A target by name. Raises `UnknownName`."""
    found = next((one for one in notifications.targets(conn) if one.name == name), None)
    if found is None:
        raise UnknownName(f"Nobody is notified under the name {name!r}.")
    return found


def fault_of(target: Target) -> str:
    """What is wrong with a target, or "".

    >>> fault_of(Target("ops", "webhook", "ftp://example.net")), fault_of(Target("ops", "email", "ops@example.net", hours="8-18"))
    ("'ftp://example.net' is no address such as https://example.net/hook", "'8-18' are no hours such as 08:00-18:00")
    """
    if not is_table_name(target.name):
        return f"{target.name!r} is not a name (letters, digits, . _ - @ +, at most 64)"
    if target.kind == "email":
        if target.address.count("@") != 1 or not all(target.address.split("@")) or any(c.isspace() or not c.isprintable() for c in target.address):
            return f"{target.address!r} is no e-mail address"
    else:
        try:
            parts = urlsplit(target.address)
            good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or any(c.isspace() or not c.isprintable() for c in target.address):
            return f"{target.address!r} is no address such as https://example.net/hook"
    if target.secret:
        try:
            if len(base64.b64decode(target.secret.removeprefix("whsec_"), validate=True)) < 24:
                return "the secret of a webhook has at least 24 bytes"
        except ValueError:
            return "the secret of a webhook is whsec_ and base64"
    if target.least not in SEVERITIES or target.always not in (*SEVERITIES, NEVER):
        return f"{target.least!r}, {target.always!r}: severities are {', '.join(SEVERITIES)}"
    if not 0 <= target.after_ms <= MOST_AFTER_MS:
        return "an escalation comes after at most 24 hours"
    try:
        hours_of(target.hours), days_of(target.days), ZoneInfo(target.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as wrong:
        return str(wrong) if isinstance(wrong, ValueError) and "zone" not in str(wrong).lower() else f"there is no time zone {target.time_zone!r}"
    return ""
