"""Test calls: taken in from a file, and what they say of the carriers.

One transaction, in this order; a crash before its end leaves nothing, and the same file again changes nothing:

1. the test calls are stored
2. the week before the tenant's newest one is weighed by carrier and destination
3. each claim becomes an alert, or is the alert that it was: notifications, pages and routes read those
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from books import Connection, alerts, audit, route_tests
from core.alert_text import finding_text
from core.ids import derived_id
from core.numbers import DialPlan
from core.orders import Finding
from core.route_tests import ROUTE_TESTS, RouteTest
from core.text import visible
from detectors.route_tests import DETECTORS, WINDOW_MS, Claim, claims, facts_of
from services import files
from services.errors import BadArgument
from services.in_force import View
from services.known_ranges import BROKEN_SHARE, MOST_FINDINGS
from services.known_ranges import Finding as LeftOut
from services.replay import text_of
from switches.files.mapping import MappingError
from switches.files.route_tests import mapping_of, own_names, read_tests

MOST_BYTES = 64 << 20
MOST_TESTS = 200_000


class Imported(NamedTuple):
    """What an import did. `new`: test calls that were not known with this result; `bad`: lines that were left out, the first in `left_out`."""

    lines: int
    new: int
    bad: int
    left_out: list[LeftOut]
    alerts: list[Finding]


def import_file(
    conn: Connection, file: Path, tenant: str, who: str, why: str, now_ms: int, mapping_file: Path | None = None, plan: DialPlan = DialPlan()
) -> Imported:
    """Takes in a file of test calls, whole or not at all. Raises `BadArgument` where it, or its mapping, is another file."""
    try:
        files.checked(file, MOST_BYTES)
        mapping = mapping_of(text_of(mapping_file), mapping_file.name) if mapping_file else own_names(file)
        view = View(conn)

        def carrier_of(carrier: str, trunk: str) -> str:
            if trunk and not carrier:
                found = view.find("trunks", tenant, trunk)
                if found is None or not found.carrier:
                    raise ValueError(f"{visible(trunk)} is no trunk to a carrier in version {view.version} of the config")
                return str(found.carrier)
            if not carrier or view.find("carriers", tenant, carrier) is None:
                raise ValueError(f"{visible(carrier) or 'an empty name'} is no carrier in version {view.version} of the config")
            return carrier

        tests: list[RouteTest] = []
        left_out: list[LeftOut] = []
        bad = 0
        for row in read_tests(file, mapping, tenant, plan, carrier_of, now_ms):
            if row.test is not None:
                tests.append(row.test)
            else:
                bad += 1
                if len(left_out) < MOST_FINDINGS:
                    left_out.append(LeftOut(row.line, row.fault, visible(row.text)[:80]))
            if len(tests) > MOST_TESTS:
                raise BadArgument(f"line {row.line}: the file has more than {MOST_TESTS:,} test calls: split it")
    except MappingError as wrong:
        raise BadArgument(str(wrong)) from None
    except OSError as error:
        raise BadArgument(f"{error.filename or file} cannot be read: {error.strerror}") from None
    lines = len(tests) + bad
    if not lines or bad > BROKEN_SHARE * lines:
        worst = "; ".join(f"line {one.line}: {one.why}" for one in left_out[:5])
        raise BadArgument(f"{file} is refused: {bad:,} of {lines:,} lines cannot be read. {worst}")
    new = route_tests.store(conn, tests)
    if new:
        audit.note(conn, who, "test calls imported", f"{tenant} {file.name}", f"{new} of {lines}: {why}", now_ms)
    return Imported(lines, new, bad, left_out, report(conn, tenant, now_ms) if new else [])


def standing(conn: Connection, tenant: str) -> list[Claim]:
    """What the test calls of a tenant's newest week say."""
    from_ms = route_tests.newest_ms(conn, tenant) - WINDOW_MS
    return claims(pl.DataFrame(route_tests.since(conn, tenant, from_ms), schema=ROUTE_TESTS, orient="row"))


def report(conn: Connection, tenant: str, now_ms: int) -> list[Finding]:
    """Writes an alert about each claim. A claim that is made again within a week is the same alert."""
    found = []
    since_ms = min(now_ms, route_tests.newest_ms(conn, tenant)) - 2 * WINDOW_MS
    known = {(one.subject, one.facts.fraud): one for one in alerts.about(conn, tenant, ("route",), since_ms) if one.facts}
    for one in standing(conn, tenant):
        subject, facts = f"{one.carrier}>{one.zone}", facts_of(one)
        before = known.get((subject, one.what))
        if before and before.last_ms < one.first_ms - WINDOW_MS:
            before = None
        finding = Finding(
            finding_id=before.finding_id if before else derived_id("finding", tenant, one.what, subject, one.last_ms),
            tenant=tenant, detector=DETECTORS[one.what], subject_kind="route", subject=subject,
            detected_at_ms=before.detected_at_ms if before else one.last_ms, first_ms=before.first_ms if before else one.first_ms,
            last_ms=one.last_ms, calls=one.tests, exposure_nanos=0, currency="", score=round(one.low, 3),
            reason=finding_text(facts), example_call_ids=[], learned_ms=now_ms, facts=facts,
        )  # fmt: skip
        alerts.upsert(conn, finding, now_ms)
        found.append(finding)
    return found
