"""The deck desk on books and a warehouse of its own: what a file becomes, what it changes and costs, when it is in force, and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest

from books import Connection, audit, configs, migrate, offers, open_books, reading, writing
from books import decks as deck_versions
from books.engine import Engine
from core import schemas
from core.config import DeckSpan
from rating.contracts import PLANNED
from rating.deck import Call
from rating.offers.mapping import Mapping, Notice, Profile
from rating.price import price_one
from services import in_force, publishing
from services.deck_desk import activating, importing, looking, plans
from services.deck_desk.importing import Imported, ImportOptions
from services.errors import ServiceError, UnknownName
from simulator.workbook import workbook
from warehouse import Warehouse, insert, open_warehouse

DAY_MS = 86_400_000
NOW = round(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
DECEMBER = round(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)
OLD = b"""\
prefix,destination,price_per_min,connect_fee,attempt_fee,first_s,next_s
44,UK,0.02,,,1,1
447,UK Mobile,0.05,,,1,1
49,Germany,0.01,,,1,1
1,USA,0.01,,,6,6
"""
NEW = """\
Destination;Code;Rate EUR;Increments;Effective
UK;44;0,02;1/1;2026-01-01
UK Mobile;447;0,06;1/1;2026-12-01
Germany;49;0,008;1/1;2026-12-01
Germany Mobile;4915-4917;0,03;60/1;2026-12-01
"""
CONFIG = """
tenant: t1
decks:
  alpha: {file: alpha.csv, currency: EUR}
  bravo: {file: bravo.csv, currency: EUR}
  retail: {file: alpha.csv, currency: EUR}
  dollars: {file: alpha.csv, currency: USD}
carriers:
- {name: alpha, buy_deck: alpha}
- {name: bravo, buy_deck: bravo}
- {name: fresh}
- {name: dollars, buy_deck: dollars}
fx_rates:
- {name: USD-EUR, source: ECB, rates: {2026-11-01: "0.9", 2026-11-21: "0.5"}}
parties:
- {name: north, kinds: [reseller], sell_deck: retail}
- {name: shop, parent: north}
agreements:
- {name: retail-2026, role: sell, currency: EUR, plan: [{deck: retail}]}
- {name: shop, role: sell, currency: EUR, markup: {percent: 10}}
accounts:
- {name: acme, agreement: retail-2026}
- {name: small, agreement: retail-2026}
- {name: till, party: shop, agreement: shop}
- {name: plain, sell_deck: retail}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_books(f"{tmp_path}/books.db")
    migrate(engine)
    (tmp_path / "alpha.csv").write_bytes(OLD)
    (tmp_path / "bravo.csv").write_bytes(OLD.replace(b"0.05", b"0.03").replace(b"0.02", b"0.04"))
    (tmp_path / "config.yaml").write_text(CONFIG)
    with writing(engine) as conn:
        publishing.publish(conn, publishing.check(tmp_path / "config.yaml", conn), "ops", "w", NOW - DAY_MS)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with writing(engine) as conn:
        yield conn


def bring(conn: Connection, text: str | bytes = NEW, now_ms: int = NOW, carrier: str = "alpha", **asked: object) -> Imported:
    content = text.encode() if isinstance(text, str) else text
    return importing.import_file(conn, "t1", ImportOptions(carrier=carrier, **asked), content, "offer.csv", "me", now_ms)  # type: ignore[arg-type]


def errors(done: Imported) -> list[str]:
    return [one.text() for one in done.findings if one.level == "error"]


def rates(conn: Connection, done: Imported) -> list[str]:
    assert done.version is not None
    return deck_versions.content(conn, done.version.deck_id).csv.decode().splitlines()[1:]


# --- import ---


def test_nothing_is_stored_while_a_question_is_open(conn: Connection):
    done = bring(conn)
    assert errors(done) == [
        "the file names 3 of the 4 codes of alpha, so it may be a list of changes: say --full or --partial; it is kept for the carrier"
    ]
    done = bring(conn, scope="full")
    assert errors(done) == [
        "the file leaves out 1 codes of alpha: 1: say --missing closed or --missing unchanged; it is kept for the carrier"
    ]
    assert done.version is None and not offers.every(conn, "t1") and offers.profile(conn, "t1", "alpha") is None


def test_any_error_stores_nothing_and_leaves_the_profile(conn: Connection):
    done = bring(conn, NEW + "France;33;-0,01;1/1;\nItaly;39;0,01;0/1;31/02/2026\n", scope="full", missing="closed")
    assert [line.partition(":")[0] for line in errors(done)] == [
        "row 6, column Rate EUR", "row 7, column Effective", "row 7, column Increments"
    ] or len(errors(done)) == 3  # fmt: skip
    assert done.version is None and not offers.every(conn, "t1") and offers.profile(conn, "t1", "alpha") is None


def test_a_full_file_is_the_deck_that_is_to_be_with_the_old_prices_until_then(conn: Connection):
    done = bring(conn, scope="full", missing="closed", valid_from="2026-12-01")
    assert not errors(done) and done.version is not None and done.version.name == "alpha@1"
    until, since = "2026-12-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"
    assert rates(conn, done) == [
        f"1,USA,0.01,,,6,6,,{until}",  # closed: the file leaves it out
        "44,UK,0.02,0,0,1,1,2026-01-01T00:00:00+00:00,",
        f"447,UK Mobile,0.05,,,1,1,,{until}", f"447,UK Mobile,0.06,0,0,1,1,{since},",
        f"49,Germany,0.01,,,1,1,,{until}", f"49,Germany,0.008,0,0,1,1,{since},",
        f"4915,Germany Mobile,0.03,0,0,60,1,{since},", f"4916,Germany Mobile,0.03,0,0,60,1,{since},",
        f"4917,Germany Mobile,0.03,0,0,60,1,{since},",
    ]  # fmt: skip
    assert done.version.facts.changes == {"new": 3, "increase": 1, "decrease": 1, "closed": 1, "unchanged": 1}


def test_a_partial_file_leaves_the_rest_as_it_is(conn: Connection):
    done = bring(conn, "Code;Rate EUR;Change\n447;0,06;Increase\n1;;Closed\n", scope="partial")
    assert not errors(done), errors(done)
    assert rates(conn, done) == ["44,UK,0.02,,,1,1,,", "447,,0.06,0,0,1,1,,", "49,Germany,0.01,,,1,1,,"]
    assert done.version is not None and (done.version.facts.carried, done.version.facts.left_out) == (2, 2)


def test_a_code_that_is_left_out_may_stay(conn: Connection):
    done = bring(conn, scope="full", missing="unchanged")
    assert "1,USA,0.01,,,6,6,," in rates(conn, done)


def test_the_same_file_again_is_the_version_that_it_made(conn: Connection):
    first = bring(conn, scope="full", missing="closed")
    again = bring(conn, now_ms=NOW + 1)
    assert again.known and again.version == first.version and len(offers.every(conn, "t1")) == 1
    other = bring(conn, NEW.replace("0,06", "0,07"), now_ms=NOW + 1)
    assert other.version is not None and other.version.name == "alpha@2"


def test_how_a_carrier_writes_is_kept_and_can_be_corrected(conn: Connection):
    first = bring(conn, scope="full", missing="closed")
    kept = offers.profile(conn, "t1", "alpha")
    assert kept == first.profile and kept is not None and kept.mapping is not None and kept.mapping.columns["prefix"] == "Code"
    moved = "Code;Effective;Rate EUR;Destination;Increments\n44;2026-01-01;0,03;UK;1/1\n"
    done = bring(conn, moved)
    assert not errors(done) and ("prefix", "column 'Code': as it was kept from the last file") in done.reasons
    renamed = moved.replace("Code", "Dial Code")
    assert "no row of the file has the column 'Code' of the mapping" in errors(bring(conn, renamed))[0]
    assert not errors(bring(conn, renamed, guess_again=True))
    mapping = Mapping(columns={"prefix": "#1", "price_per_min": "#3"}, decimal=",", header_rows=1)
    done = bring(conn, renamed, profile=Profile(mapping=mapping, missing="unchanged", scope="full", notice_days=Notice(increase=30)))
    assert not errors(done)
    kept = offers.profile(conn, "t1", "alpha")
    assert kept is not None and kept.mapping == mapping and kept.notice_days.increase == 30


@pytest.mark.parametrize(
    ("text", "asked", "fault"),
    [
        ("Code;Rate USD\n44;0,02\n", {}, "the file says USD, and the carrier's decks are in EUR: say --currency if the file is wrong"),
        ("Code;Rate\n44;0,02\n", {"currency": "GBP"}, "the deck is in GBP, and the agreement in EUR: add a rate GBP-EUR to fx_rates"),
        ("Code;Rate\n44;0,02\n", {"carrier": "fresh"}, "neither the file nor the carrier's agreement says in which currency"),
        ("Code;Rate\n44;0,02\n", {"carrier": "fresh", "currency": "EURO"}, "'EURO' is not the code of a currency"),
    ],
)
def test_a_deck_is_in_the_currency_of_its_agreement(conn: Connection, text: str, asked: dict[str, str], fault: str):
    assert any(fault in line for line in errors(bring(conn, text, scope="full", missing="closed", **asked)))


def test_a_carrier_that_nobody_knows_is_named(conn: Connection):
    with pytest.raises(UnknownName, match="no carrier 'alfa'; there are: alpha, bravo, dollars, fresh"):
        bring(conn, carrier="alfa")


def test_what_a_person_should_see_before_it_is_in_force(conn: Connection):
    done = bring(conn, NEW.replace("0,06", "0,60").replace("2026-12-01", "2026-11-22"), scope="full", missing="closed")
    warnings = {one.kind: one.what for one in reversed(list(done.findings)) if one.level == "warning"}  # the first of each kind
    assert warnings["far price"] == (  # of 0.03 EUR and 0.05 USD
        "code 447 (UK Mobile) costs 0.6 a minute, 16.0 times the median of 2 other carriers (0.0375)"
    )
    assert warnings["notice"] == "3 new codes come with less notice than agreed, such as 4915 Germany Mobile: 2 days, and 7 are needed"
    assert done.findings.counts["notice"] == 3 and "countries have no price" in warnings["gap"]
    undated = bring(conn, "Code;Rate EUR\n44;0,02\n", scope="partial", guess_again=True)
    assert undated.findings.counts["missing date"] == 1


# --- activation ---


def deck_at(engine: Engine, version: int, at_ms: int) -> tuple[str, str]:
    """The deck that a call over alpha is bought by, answered at a time, and the id of its version."""
    terms = in_force.from_books(engine)(version)
    charged = terms.bought("t1", "alpha")
    spans = charged.plan if charged.offer == PLANNED else ((-(2**62), 2**62, charged.offer),)
    place = next((place for start, end, place in spans if start <= at_ms < end), None)
    return ("", "") if place is None else (terms.offers[place].deck.name, terms.offers[place].deck.deck_id)


def test_a_version_is_in_force_from_its_date_and_the_deck_before_it_until_then(engine: Engine):
    with writing(engine) as conn:
        bring(conn, scope="full", missing="closed", valid_from="2026-12-01")
        done = activating.activate(conn, "t1", "alpha@1", "", "me", "offer of November", NOW)
        assert (done.from_at_ms, done.plan) == (DECEMBER, ["alpha until 2026-12-01", "alpha@1 from 2026-12-01"])
        states = {one.name: one.state for one in looking.every(conn, "t1", "alpha", NOW)}
        assert states == {"alpha": "in force", "alpha@1": "planned"}
        assert any(entry.verb == "activated a deck" and entry.subject == "t1/alpha@1" for entry in audit.last(conn))
    assert [deck_at(engine, done.config_version, at)[0] for at in (DECEMBER - 1, DECEMBER)] == ["alpha", "alpha@1"]
    assert deck_at(engine, 1, DECEMBER)[0] == "alpha", "an earlier version is what it was"


def test_a_price_that_is_valid_later_than_the_deck_keeps_the_old_one_until_then(engine: Engine):
    with writing(engine) as conn:
        bring(conn, scope="full", missing="closed")
        done = activating.activate(conn, "t1", "alpha@1", "2026-11-21", "me", "w", NOW)
    deck = next(one for one in in_force.from_books(engine)(done.config_version).decks if one.name == "alpha@1")
    assert [price_one(deck, Call("4479"), at, 60_000, True).per_min_nanos for at in (DECEMBER - 1, DECEMBER)] == [50_000_000, 60_000_000]


def test_a_rollback_is_the_plan_of_before(engine: Engine):
    with writing(engine) as conn:
        bring(conn, scope="full", missing="closed")
        first = activating.activate(conn, "t1", "alpha@1", "", "me", "w", NOW)
        bring(conn, NEW.replace("0,06", "0,07"), now_ms=NOW + DAY_MS)
        second = activating.activate(conn, "t1", "alpha@2", "", "me", "w", NOW + DAY_MS)
        back = activating.rollback(conn, "t1", "alpha", "me", "increments are wrong", NOW + 2 * DAY_MS)
        assert (back.before, back.deck) == ("alpha@2", "alpha@1") and "alpha@2" not in configs.load(conn, back.config_version).decks
        again = activating.rollback(conn, "t1", "alpha", "me", "and that as well", NOW + 2 * DAY_MS)
        with pytest.raises(activating.Refused, match="nothing to roll back"):
            activating.rollback(conn, "t1", "alpha", "me", "w", NOW)
        later = activating.activate(conn, "t1", "alpha@1", "", "me", "it was right after all", NOW + 3 * DAY_MS)
    at = NOW + 2 * DAY_MS
    numbers = (first, second, back, again, later)
    assert [deck_at(engine, one.config_version, at)[0] for one in numbers] == ["alpha@1", "alpha@2", "alpha@1", "alpha", "alpha"]
    assert deck_at(engine, later.config_version, NOW + 4 * DAY_MS)[0] == "alpha@1"
    with reading(engine) as conn:
        agreement = configs.load(conn, again.config_version).agreements[0]
    assert agreement.plan == (DeckSpan(deck="alpha"),)


def test_a_rollback_does_not_undo_what_somebody_changed_since(conn: Connection):
    bring(conn, scope="full", missing="closed")
    activating.activate(conn, "t1", "alpha@1", "", "me", "w", NOW)
    agreement = configs.load(conn, configs.latest(conn)).agreements[0]
    publishing.change(conn, [msgspec.structs.replace(agreement, plan=(DeckSpan(deck="bravo"),))], [], "you", "w", NOW)
    with pytest.raises(activating.Refused, match="was changed since alpha@1 was activated"):
        activating.rollback(conn, "t1", "alpha", "me", "w", NOW)


def test_other_terms_of_the_agreement_survive_a_rollback(conn: Connection):
    bring(conn, scope="full", missing="closed")
    activating.activate(conn, "t1", "alpha@1", "", "me", "w", NOW)
    agreement = configs.load(conn, configs.latest(conn)).agreements[0]
    publishing.change(conn, [msgspec.structs.replace(agreement, payment_days=14)], [], "you", "w", NOW)
    activating.rollback(conn, "t1", "alpha", "me", "w", NOW)
    assert configs.load(conn, configs.latest(conn)).agreements[0].payment_days == 14


def test_a_version_with_rows_of_another_deck_is_only_right_behind_that(conn: Connection):
    bring(conn, "Code;Rate EUR\n447;0,06\n", scope="partial")
    bring(conn, "Code;Rate EUR\n447;0,07\n", scope="partial")
    activating.activate(conn, "t1", "alpha@1", "", "me", "w", NOW)
    with pytest.raises(activating.Refused, match=r"alpha@2 has 3 rows of alpha, and alpha@1 is the last one now: import offer.csv again"):
        activating.activate(conn, "t1", "alpha@2", "", "me", "w", NOW)


def test_a_carrier_without_a_deck_gets_one(engine: Engine):
    with writing(engine) as conn:
        bring(conn, NEW, carrier="fresh")
        done = activating.activate(conn, "t1", "fresh@1", "2026-12-01", "me", "w", NOW)
        with pytest.raises(activating.Refused, match="had no deck: its calls would have no price"):
            activating.rollback(conn, "t1", "fresh", "me", "w", NOW)
    terms = in_force.from_books(engine)(done.config_version)
    assert terms.bought("t1", "fresh").plan[0][0] == DECEMBER


def test_a_workbook_and_a_text_of_the_same_rows_are_the_same_deck(conn: Connection):
    rows = [["Destination", "Code", "Rate EUR"], ["UK", "44", 0.02], ["UK Mobile", "447", 0.05], ["DE", "49", 0.01], ["US", "1", 0.01]]
    one = bring(conn, workbook({"Rates": rows}), now_ms=NOW)
    two = bring(conn, "\n".join(";".join(map(str, row)).replace(".", ",") for row in rows), guess_again=True, now_ms=NOW)
    assert one.version is not None and two.version is not None and one.version.deck_id == two.version.deck_id


# --- own traffic ---


@pytest.fixture
def client(tmp_path: Path, new_warehouse) -> Iterator[Warehouse]:
    new_warehouse(tmp_path / "warehouse")
    client = open_warehouse(f"chdb://{tmp_path}/warehouse")
    yield client
    client.close()


def send(client: Warehouse, *calls: tuple[str, str, int], at_ms: int = NOW - DAY_MS, revision: int = 1) -> None:
    """Attempts: carrier, number, seconds of talk (0 = not answered)."""
    blank = {name: "" if dtype == pl.String else None for name, dtype in schemas.ATTEMPTS.items()}
    rows = [
        blank
        | {
            "partition": 0, "offset": at, "revision": revision, "learned_ms": at_ms, "tenant": "t1", "call_key": f"{at:032x}", "attempt_no": 1,
            "carrier": carrier, "b_number": number, "at_ms": at_ms, "answered": seconds > 0, "duration_ms": seconds * 1000,
        }
        for at, (carrier, number, seconds) in enumerate(calls)
    ]  # fmt: skip
    insert(client, "attempts", pl.DataFrame(rows, schema=schemas.ATTEMPTS).to_arrow())


CALLS = [
    ("alpha", "4479123", 60), ("alpha", "4479124", 30), ("alpha", "4930123", 600), ("alpha", "12125551212", 61), ("bravo", "442012", 120),
    ("alpha", "4479125", 0),
]  # fmt: skip


def test_own_traffic_under_a_new_version(conn: Connection, client: Warehouse):
    send(client, *CALLS)
    bring(conn, scope="full", missing="closed", valid_from="2026-12-01")
    found = looking.simulate(conn, client, "t1", "alpha@1", NOW - 30 * DAY_MS, NOW, NOW)
    lines = {line.destination: line for line in found.lines}
    assert found.decks == ("alpha", "alpha@1")
    assert lines["UK Mobile"].cost_nanos == {"alpha": 75_000_000, "alpha@1": 90_000_000} and lines["UK Mobile"].calls == 2
    assert lines["Germany"].cost_nanos == {"alpha": 100_000_000, "alpha@1": 80_000_000}
    assert lines["USA"].cost_nanos == {"alpha": 11_000_000, "alpha@1": 0} and lines["USA"].unpriced == {"alpha": 0, "alpha@1": 1}
    assert found.totals == {"alpha": 186_000_000, "alpha@1": 170_000_000} and found.calls == 4


def test_carriers_side_by_side(conn: Connection, client: Warehouse):
    send(client, *CALLS)
    found = looking.compare_carriers(conn, client, "t1", ["alpha", "bravo"], NOW - 30 * DAY_MS, NOW, NOW)
    assert found.decks == ("alpha", "bravo") and found.calls == 5
    assert {line.destination: tuple(line.cost_nanos.values()) for line in found.lines} == {
        "UK Mobile": (75_000_000, 45_000_000), "Germany": (100_000_000, 100_000_000), "USA": (11_000_000, 11_000_000), "UK": (40_000_000, 80_000_000),
    }  # fmt: skip
    assert found.routed_nanos == {"EUR": 186_000_000 + 80_000_000}
    bring(conn, scope="full", missing="closed")
    both = looking.compare_carriers(conn, client, "t1", ["bravo", "alpha@1"], NOW - 30 * DAY_MS, NOW, NOW, DECEMBER)
    assert both.decks == ("bravo", "alpha@1")


def test_an_attempt_that_was_corrected_counts_once_and_where_it_belongs(conn: Connection, client: Warehouse):
    send(client, ("alpha", "4479123", 60))
    send(client, ("bravo", "4479123", 90), revision=2)
    found = looking.compare_carriers(conn, client, "t1", [], NOW - 30 * DAY_MS, NOW, NOW)
    assert found.calls == 1 and found.routed_nanos == {"EUR": 45_000_000}


def test_a_difference_goes_against_the_deck_that_a_version_was_made_of(conn: Connection):
    bring(conn, scope="full", missing="closed")
    found = looking.diff(conn, "t1", "alpha@1", "", NOW + 100 * DAY_MS)
    rows = {row.prefix: row for row in found.changes.rows}
    assert (found.old, found.new) == ("alpha", "alpha@1")
    assert (rows["447"].kind, rows["447"].notice_days, rows["447"].late) == ("increase", 11, False)
    assert (rows["4915"].kind, rows["4915"].old_by, rows["4915"].old_nanos) == ("new", "49", 10_000_000)
    assert looking.diff(conn, "t1", "bravo", "alpha", NOW).changes.counts == {"new": 0, "increase": 1, "decrease": 1, "closed": 0, "unchanged": 2}


# --- two currencies ---


def test_a_carrier_in_another_currency_stands_beside_the_others_at_the_rate_of_the_day_which_is_shown(conn: Connection, client: Warehouse):
    send(client, *CALLS, ("dollars", "4479999", 60))
    found = looking.compare_carriers(conn, client, "t1", ["alpha", "dollars"], NOW - 30 * DAY_MS, NOW, NOW)
    assert found.currencies == {"alpha": "EUR", "dollars": "EUR"} and found.rates == {"dollars": "USD-EUR 0.9 of 2026-11-01 ECB"}
    assert {line.destination: tuple(line.cost_nanos.values()) for line in found.lines} == {
        "UK Mobile": (125_000_000, 112_500_000), "Germany": (100_000_000, 90_000_000), "USA": (11_000_000, 9_900_000),
        "UK": (40_000_000, 36_000_000),
    }  # fmt: skip
    assert found.routed_nanos == {"EUR": 186_000_000 + 80_000_000 + 45_000_000}
    other = looking.compare_carriers(conn, client, "t1", ["alpha", "dollars"], NOW - 30 * DAY_MS, NOW, NOW, currency="USD")
    assert other.rates == {"alpha": "USD-EUR 0.9 of 2026-11-01 ECB (the inverse)"} and set(other.currencies.values()) == {"USD"}


def test_decks_of_two_currencies_are_compared_at_the_rate_which_is_shown(conn: Connection):
    found = looking.diff(conn, "t1", "dollars", "alpha", NOW)
    assert (found.currency, found.rate) == ("EUR", "USD-EUR 0.9 of 2026-11-01 ECB")
    assert {row.prefix: (row.kind, row.old_nanos, row.new_nanos) for row in found.changes.rows}["44"] == ("increase", 18_000_000, 20_000_000)


def test_a_file_in_another_currency_than_the_deck_before_takes_no_row_of_it_over(conn: Connection):
    offer = "Code;Rate USD\n44;0,02\n447;0,05\n49;0,01\n"
    partial = bring(conn, offer, currency="USD", scope="partial")
    assert errors(partial) == [
        "alpha is in EUR, and the file in USD: no row of it is taken over, and it is compared at USD-EUR 0.9 of 2026-11-01 ECB (the inverse): the "
        "file has to be the whole A-Z: a code that it leaves out has no price"
    ]
    done = bring(conn, offer, currency="USD", scope="full")
    assert not errors(done) and rates(conn, done) == ["44,,0.02,0,0,1,1,,", "447,,0.05,0,0,1,1,,", "49,,0.01,0,0,1,1,,"]
    assert done.version is not None and done.version.facts.changes == {"new": 0, "increase": 0, "decrease": 3, "closed": 1, "unchanged": 0}
    activating.activate(conn, "t1", "alpha@1", "2026-12-01", "me", "w", NOW)
    view = in_force.View(conn)
    assert view.find("agreements", "t1", "alpha").currency == "EUR"  # its amounts stay in euros, converted at the rate of the day


# --- sell decks ---


@pytest.mark.parametrize(
    ("name", "owner", "shared"),
    [("acme", "retail-2026", ("acme", "small")), ("retail-2026", "retail-2026", ("acme", "small")), ("plain", "plain", ()), ("north", "north", ())],
)
def test_a_sell_deck_goes_from_its_file_into_force_and_back(conn: Connection, name: str, owner: str, shared: tuple[str, ...]):
    found = plans.sold_to(in_force.View(conn), "t1", name)
    assert found == owner
    done = bring(conn, carrier=found, scope="full", missing="closed", valid_from="2026-12-01")
    assert not errors(done) and done.version is not None and done.version.name == f"{owner}@1" and done.base == "retail"
    active = activating.activate(conn, "t1", done.version.name, "", "me", "new prices", NOW)
    assert active.plan == ["retail until 2026-12-01", f"{owner}@1 from 2026-12-01"]
    view = in_force.View(conn)
    row = view.find("accounts", "t1", name) or view.find("parties", "t1", name)
    assert row is None or (row.agreement, row.sell_deck) == (owner, "")
    assert [one.name for one in looking.every(conn, "t1", owner, NOW)] == [f"{owner}@1", "retail"]
    assert looking.diff(conn, "t1", f"{owner}@1", "", NOW).changes.counts["increase"] == 1
    assert shared == () or any("is that of acme, small: they pay by" in note for note in active.notes)
    activating.rollback(conn, "t1", owner, "me", "w", NOW)
    assert [span.deck for span in plans.plan_of(in_force.View(conn), "t1", owner).spans] == ["retail"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nobody", "has no account, reseller or agreement 'nobody'"),
        ("till", "Agreement shop is a mark-up over the decks of the reseller above: import the deck of that one"),
    ],
)
def test_whose_sell_deck_it_cannot_be_is_said(conn: Connection, name: str, fault: str):
    with pytest.raises(ServiceError, match=fault):
        plans.sold_to(in_force.View(conn), "t1", name)


def test_a_sell_deck_is_looked_at_beside_what_calls_cost(conn: Connection):
    done = bring(conn, "Code;Rate\n44;0,01\n447;0,06\n49;0,01\n1;0,02\n", carrier="plain", scope="full")
    assert [one.text() for one in done.findings if one.kind == "below cost"] == [
        "1 code is sold below what it costs, such as 44: 0.01 a minute, and the median of 3 carriers is 0.02: raise it, or route it over a cheaper "
        "carrier"
    ]


def test_calls_that_were_sold_under_a_new_sell_deck(conn: Connection, client: Warehouse):
    blank = {name: "" if dtype == pl.String else None for name, dtype in schemas.CALLS.items()}
    calls = [("acme", 60), ("small", 30), ("plain", 600), ("acme", 0)]
    rows = [
        blank
        | {
            "partition": 0, "offset": at, "revision": 1, "learned_ms": NOW - DAY_MS, "tenant": "t1", "call_key": f"{at:032x}", "account": account,
            "b_number": "4479123", "answer_ms": NOW - DAY_MS if seconds else None, "end_ms": NOW - DAY_MS, "duration_ms": 1000 * seconds,
        }
        for at, (account, seconds) in enumerate(calls)
    ]  # fmt: skip
    insert(client, "calls", pl.DataFrame(rows, schema=schemas.CALLS).to_arrow())
    bring(conn, carrier="retail-2026", scope="full", missing="closed", valid_from="2026-12-01")
    found = looking.simulate(conn, client, "t1", "retail-2026@1", NOW - 30 * DAY_MS, NOW, NOW)
    assert found.sells and found.calls == 2 and found.totals == {"retail": 75_000_000, "retail-2026@1": 90_000_000}
    bring(conn, carrier="north", scope="full", missing="closed", valid_from="2026-12-01")  # nobody under it has called
    assert looking.simulate(conn, client, "t1", "north@1", NOW - 30 * DAY_MS, NOW, NOW).calls == 0
