"""Files of test calls: what is read, what is left out, what is refused, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from books import Connection, alerts, audit, route_tests, writing
from core.config import Carrier, Trunk
from ringfence.settings import Settings
from services import first_start, publishing, routes, verdicts
from services import route_tests as service
from services.errors import BadArgument
from services.installation import Installation, opened_books

NOW = 1_764_000_000_000  # 2025-11-24 16:00 UTC
HOUR = 3_600_000
HEAD = "placed,carrier,a_number,b_number,cli,answered,line_rang,line_answered"


@pytest.fixture
def house(tmp_path: Path) -> Installation:
    installation = Settings(home=tmp_path, tenant="t1", countries="AT").installation
    first_start.lay(installation)
    first_start.open_and_publish(installation, first_start.starter("t1"), 1)
    return installation


@pytest.fixture
def conn(house: Installation) -> Iterator[Connection]:
    with opened_books(house) as engine, writing(engine) as conn:
        rows = [Carrier(tenant="t1", name="alpha"), Carrier(tenant="t1", name="beta"), Trunk(tenant="t1", name="b-1", carrier="beta")]
        publishing.change(conn, rows, [], "ops", "two carriers", NOW)
        yield conn


def put(conn: Connection, tmp_path: Path, *lines: str, head: str = HEAD, mapping: str = "") -> service.Imported:
    (tmp_path / "tests.csv").write_text("\n".join((head, *lines)) + "\n")
    (tmp_path / "map.yaml").write_text(mapping)
    return service.import_file(conn, tmp_path / "tests.csv", "t1", "anna", "weekly", NOW, tmp_path / "map.yaml" if mapping else None)


def day(carrier: str, n: int, cli: str, at: str = "2025-11-24 10", **other: str) -> list[str]:
    rest = ",".join(other.get(name, "yes") for name in ("answered", "line_rang", "line_answered"))
    return [f"{at}:{minute:02}:00,{carrier},+43664123456,+2348031234567,{cli},{rest}" for minute in range(n)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2025-11-24 10:00:00,gamma,+43664123456,+2348031234567,,yes,yes,yes", "gamma is no carrier in version"),
        ("yesterday,alpha,+43664123456,+2348031234567,,yes,yes,yes", "column placed"),
        (",alpha,+43664123456,+2348031234567,,yes,yes,yes", "column placed: it is empty"),
        ("2026-11-24 10:00:00,alpha,+43664123456,+2348031234567,,yes,yes,yes", "is in the future"),
        ("2025-11-24 10:00:00,alpha,+43664123456,0803123,,yes,yes,yes", "column b_number: '0803123' means no number"),
        ("2025-11-24 10:00:00,alpha,+43664123456,+2348031234567,,perhaps,yes,yes", "column answered: 'perhaps' is neither yes nor no"),
        ("2025-11-24 10:00:00,alpha", "cells"),
    ],
)
def test_a_broken_line_is_named_and_left_out(conn, tmp_path, line, why):
    found = put(conn, tmp_path, *day("alpha", 5, "+43664123456"), line)
    assert (found.new, found.bad, found.left_out[0].line) == (5, 1, 7) and why in found.left_out[0].why


@pytest.mark.parametrize(
    ("head", "mapping", "why"),
    [
        ("placed,carrier,a_number", "", "has no b_number"),
        ("placed,b_number,cli", "", r"has no carrier \(or trunk\)"),
        (HEAD, "columns: {placed: placed, carrier: carrier, b_number: Dialled}", "Dialled"),
        (HEAD, "columns: {placed: placed, carrier: carrier, b_number: b_number, dialled: cli}", "dialled is no field of ours"),
        (HEAD, "columns: {placed: placed, carrier: carrier}", "has no b_number"),
        (HEAD, "columns: [placed]", "Expected `object`"),
    ],
)
def test_another_file_is_refused_whole(conn, tmp_path, head, mapping, why):
    with pytest.raises(BadArgument, match=why):
        put(conn, tmp_path, *day("alpha", 5, ""), head=head, mapping=mapping)
    assert route_tests.since(conn, "t1", 0) == []


def test_a_file_of_broken_lines_is_refused_whole(conn, tmp_path):
    with pytest.raises(BadArgument, match=r"2 of 6 lines cannot be read\. line 6: .* is no carrier"):
        put(conn, tmp_path, *day("alpha", 4, ""), *day("gamma", 2, ""))


def test_claims_become_alerts_and_the_carrier_stands_behind_the_others(house, conn, tmp_path):
    lines = [*day("alpha", 12, "+2348021112223"), *day("beta", 12, "+43664123456")]
    found = put(conn, tmp_path, *lines)
    (alert,) = found.alerts
    assert (alert.detector, alert.subject, alert.calls) == ("test_cli", "alpha>2348", 12)
    assert alerts.find(conn, alert.finding_id) == alert
    assert audit.last(conn)[0].verb == "test calls imported"
    again = put(conn, tmp_path, *lines)
    assert (again.new, again.alerts) == (0, [])
    more = put(conn, tmp_path, *day("alpha", 12, "+2348021112223", at="2025-11-24 11"))
    assert [(one.finding_id, one.calls) for one in more.alerts] == [(alert.finding_id, 24)]  # it goes on: the same alert
    conn.commit()
    with opened_books(house) as engine:
        last_ms = more.alerts[0].last_ms
        assert set(routes.suspects(engine, "t1", last_ms + 2 * 24 * HOUR)) == {"alpha"}
        assert routes.suspects(engine, "t1", last_ms + 4 * 24 * HOUR) == {}
        with writing(engine) as other:
            verdicts.give(other, alert.finding_id, "not fraud", "anna", "our platform was broken", NOW)
        assert routes.suspects(engine, "t1", NOW) == {}


def test_a_trunk_names_its_carrier_and_another_result_replaces_the_first(conn, tmp_path):
    head, line = "placed;trunk;b_number;answered;line_rang", "2025-11-24 10:00:00;b-1;+2348031234567;yes;{}"
    put(conn, tmp_path, line.format("yes"), head=head)
    assert put(conn, tmp_path, line.format("no"), head=head).new == 1
    (stored,) = route_tests.since(conn, "t1", 0)
    assert (stored.carrier, stored.line_rang, stored.cli, stored.a_number) == ("beta", False, None, "")
