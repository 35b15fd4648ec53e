"""What last month would have come to over other routes: money, margin, quality; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from books import configs, decks, migrate, tenants
from core.config import Account, Carrier, Config, RouteCarrier, RoutePlan, Trunk
from core.message import Message
from core.money import to_text
from core.record import Record, journal_key
from core.schemas import TABLES
from flows.step import State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck
from ringfence.cli import app
from services import rerate, reroute
from services.errors import BadArgument
from services.installation import Installation, books
from warehouse import insert, open_warehouse
from warehouse import migrate as migrate_warehouse

NOON = 1_764_072_000_000  # 2025-11-25 12:00:00 UTC
HOUR = 3_600_000
DECKS = {
    "retail": b"prefix,destination,price_per_min\n43,Austria,0.06\n44,Britain,0.03\n",
    "alpha": b"prefix,price_per_min\n43,0.02\n44,0.02\n",
    "beta": b"prefix,price_per_min\n43,0.01\n44,0.04\n49,0.01\n",
}
CALLS = [
    # account, number, seconds, carrier
    ("acme", "43664111", 60, "alpha"),
    ("acme", "44200333", 60, "alpha"),
    ("blue", "43664222", 120, "alpha"),
    ("acme", "43664111", 0, "alpha"),  # not answered
    ("acme", "4930123", 60, "beta"),  # no sale price
    ("gone", "43664111", 60, "old"),  # a carrier without a price
]


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Installation:
    at = Installation.embedded(tmp_path_factory.mktemp("home"))
    migrate(at.books_dsn)
    client = open_warehouse(at.warehouse_dsn)
    migrate_warehouse(client)
    with books(at) as conn:
        tenants.add(conn, "t1", NOON)
        ids = {f"t1/{name}": decks.add(conn, csv, "EUR", "eve", NOON) for name, csv in DECKS.items()}
        config = Config(
            accounts=tuple(Account(tenant="t1", name=name, sell_deck="retail", route_plan="now") for name in ("acme", "blue", "gone")),
            carriers=(*(Carrier(tenant="t1", name=name, buy_deck=name) for name in ("alpha", "beta")), Carrier(tenant="t1", name="old")),
            trunks=(
                Trunk(tenant="t1", name="in"),
                *(Trunk(tenant="t1", name=f"{name}-1", carrier=name, address="192.0.2.1:5060") for name in ("alpha", "beta")),
            ),
            route_plans=(RoutePlan(tenant="t1", name="now", carriers=(RouteCarrier(carrier="alpha"),)), RoutePlan(tenant="t1", name="other")),
            decks=ids,
        )
        version = configs.publish(conn, config, "eve", "test", NOON)
    price_lists = {f"t1/{name}": read_deck(csv, name, "EUR") for name, csv in DECKS.items()}
    terms = compile_contracts(msgspec.structs.replace(config, version=version), price_lists)
    log = []
    for at_, (account, number, seconds, carrier) in enumerate(CALLS):
        at_ms, name = NOON + 1000 * at_, f"c{at_}"
        stop = {
            "v": 2, "switch": "k1", "boot_id": "b", "seq": at_ + 1, "account": account, "ingress_trunk": "in", "b_raw": number, "a_raw": "4312345",
            "carrier": carrier, "dialog_id": name, "call_id": name, "event": "stop", "at_ms": at_ms + 1000 * seconds,
            "sip_code": 200 if seconds else 486, "attempt_no": 1,
        }  # fmt: skip
        record = msgspec.convert(stop | ({"answer_ms": at_ms} if seconds else {}), Record)
        log.append(Message(0, at_, at_ms + HOUR, journal_key("t1", account, "in"), msgspec.json.encode(record)))
    outcome = judge(State(b"s" * 16), log, lambda _: terms)
    for table in TABLES:
        insert(client, table, outcome.table(table).to_arrow())
    client.close()
    return at


def tried(house: Installation, tmp_path: Path, text: str, plan: str = "", **wanted: Any) -> reroute.Rerouted:
    path = tmp_path / "plans.yaml"
    path.write_text(text)
    with books(house) as conn:
        spec = rerate.spec_of(conn, NOON - HOUR, NOON + HOUR, tenant="t1", **wanted)
    return reroute.compute(house, spec, path, plan)


def money(found: reroute.Rerouted, by: str) -> dict[str, tuple[str, str, int]]:
    return {
        row[by]: (to_text(int(row["was_margin_nanos"])), to_text(int(row["margin_nanos"])), row["without_route"])
        for row in found.sums[by].to_dicts()
    }


CHEAPEST = "route_plans:\n- {name: now}\n"  # every carrier, the cheapest first


def test_the_cheapest_carrier_would_have_earned_more_in_austria_and_changes_nothing_in_britain(house, tmp_path):
    found = tried(house, tmp_path, CHEAPEST)
    # Austria: three minutes sold at 0.06 and bought at 0.02, or at 0.01. Britain: alpha stays the cheaper.
    assert money(found, "destination") == {"Austria": ("0.12", "0.15", 0), "Britain": ("0.01", "0.01", 0)}
    assert money(found, "carrier") == {"beta": ("0.12", "0.15", 0), "alpha": ("0.01", "0.01", 0)}
    (total,) = found.totals
    assert (found.calls, total["calls"], total["moved"]) == (6, 4, 3)
    assert found.left_out == {"no sale price": 1, "no price of old": 1}


def test_a_call_without_a_route_is_not_sold(house, tmp_path):
    found = tried(house, tmp_path, "route_plans:\n- {name: now, rules: [{action: deny, b_range: '44'}]}\n")
    assert money(found, "destination") == {"Austria": ("0.12", "0.15", 0), "Britain": ("0.01", "0", 1)}
    assert money(found, "carrier")[""] == ("0.01", "0", 1)


def test_an_account_alone_and_a_plan_that_no_account_names(house, tmp_path):
    assert money(tried(house, tmp_path, CHEAPEST, account="blue"), "destination") == {"Austria": ("0.08", "0.1", 0)}
    night = "route_plans:\n- {name: night, carriers: [{carrier: beta}]}\n"
    with pytest.raises(BadArgument, match="no account of t1 is routed by night: say --plan NAME"):
        tried(house, tmp_path, night)
    assert money(tried(house, tmp_path, night, "night"), "destination") == {"Austria": ("0.12", "0.15", 0), "Britain": ("0.01", "-0.01", 0)}


def test_another_price_list_of_a_carrier_and_the_routes_that_it_would_draw(house, tmp_path):
    dearer = tmp_path / "beta.csv"
    dearer.write_bytes(DECKS["beta"].replace(b"43,0.01", b"43,0.05"))
    found = tried(house, tmp_path, CHEAPEST, price_lists={"beta": str(dearer)})
    assert money(found, "destination") == {"Austria": ("0.12", "0.12", 0), "Britain": ("0.01", "0.01", 0)}


def test_how_carriers_answer_stands_beside_the_money(house, tmp_path):
    row = tried(house, tmp_path, CHEAPEST).sums["destination"].filter(destination="Austria").to_dicts()[0]
    # alpha answered three of four: to Austria two of three, drawn to its mean as by 30 attempts. beta answered its one call.
    assert (round(row["was_asr"], 4), row["asr"], row["measured"]) == (round((2 + 22.5) / 33, 4), 1.0, 3)


@pytest.mark.parametrize(("text", "said"), [
    ("route_plans:\n- {name: now, carriers: [{carrier: nobody}]}\n", "route_plans[0].carriers[0].carrier: no carrier 'nobody'"),
    ("route_plans:\n- {name: now, then: lost}\n", "route_plans[0].then: no route plan 'lost'"),
    ("route_plans:\n- {name: now, order: best}\n", "route_plans[0].order: 'best' is none of lcr"),
    ("accounts:\n- {name: acme, route_plan: now}\nroute_plans:\n- {name: now}\n", "accounts: only route_plans can be tried out here"),
    ("tenant: t9\nroute_plans:\n- {name: now}\n", "tenant 't9': the calls are those of t1"),
    ("route_plans: []\n", "it has no route_plans"),
    ("}", "not YAML"),
])  # fmt: skip
def test_a_wrong_file_says_where_and_changes_nothing(house, tmp_path, text, said):
    with pytest.raises(BadArgument) as wrong:
        tried(house, tmp_path, text)
    assert said in str(wrong.value) and "plans.yaml" in str(wrong.value)


def test_the_command_tells_a_person_what_was_assumed(house, tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(CHEAPEST)
    asked = ["rerate", "--from", "2025-11-25", "--to", "2025-11-26", "--policy", str(path), "--home", str(house.root)]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    for line in (
        "6 calls of t1, 2025-11-25 to 2025-11-26, by the route plans of",
        "the first gateway of the plan carries it",
        "Left out: 1, no price of old",
        "All, in EUR: 4 compared, 3 over another carrier",
        "margin 0.13 -> 0.16 EUR (+0.03)",
        "Austria: 3 calls, margin 0.12 -> 0.15 EUR (+0.03); answered 74.2 % -> 100.0 %",
    ):
        assert line in told.output, told.output
    as_json = json.loads(CliRunner().invoke(app, [*asked, "--json"]).output)
    assert as_json["by_destination"][0] | {"destination": "Austria", "margin": "0.15", "calls": 3} == as_json["by_destination"][0]
    assert CliRunner().invoke(app, [*asked, "--commit"]).exit_code == 2
