"""What last month would have cost: looked at, then counted, whatever dies in between; and calls that had no price get one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from books import configs, decks, ledger, tenants
from core.config import Account, Agreement, Allowance, Carrier, Config, DeckSpan, Package, Trunk
from core.message import Message
from core.money import to_text
from core.record import Record, journal_key
from core.schemas import TABLES
from flows.step import State, judge
from rating.contracts import compile_contracts
from rating.decks import read_deck
from ringfence.cli import app
from services import invoice_packages, invoice_proof, invoicing, posting, rerate
from services.errors import BadArgument, UnknownName
from services.installation import Installation, books
from services.reading import warehouse
from warehouse import ask, handing, insert, open_warehouse, queries

NOON = 1_764_072_000_000  # 2025-11-25 12:00:00 UTC
HOUR, DAY = 3_600_000, 86_400_000
PERIOD = (NOON - HOUR, NOON + 10 * HOUR)
RETAIL = b"prefix,destination,price_per_min,connect_fee,first_s,next_s\n43,Austria,0.06,0,1,1\n44,Britain,0.03,0.01,60,60\n"
BUY = b"prefix,destination,price_per_min,attempt_fee,first_s,next_s\n4,Europe,0.02,0.001,1,1\n"


class House:
    """An installation whose calls are stored as judge and store would have stored them."""

    def __init__(self, at: Installation, tenant: str) -> None:
        self.root, self.at, self.tenant = at.root, at, tenant
        with books(at) as conn:
            tenants.add(conn, tenant, NOON)
        self.decks: dict[str, bytes] = {}
        self.offset = 0
        self.publish(retail=RETAIL, alpha=BUY)

    def publish(
        self, accounts: tuple[str, ...] = ("acme", "blue"), without_deck: tuple[str, ...] = (), package: Package | None = None, **price_lists: bytes
    ) -> None:  # fmt: skip
        self.decks |= price_lists
        with books(self.at) as conn:
            ids = {f"{self.tenant}/{name}": decks.add(conn, csv, "EUR", "eve", NOON) for name, csv in self.decks.items()}
            plan = (DeckSpan(deck="retail"),)
            bundle = Agreement(tenant=self.tenant, name="bundle", role="sell", plan=plan, currency="EUR", package=package, cycle="daily")
            config = Config(
                agreements=(bundle,) if package else (),
                accounts=(
                    *((Account(tenant=self.tenant, name="pack", agreement="bundle"),) if package else ()),
                    *(Account(tenant=self.tenant, name=name, sell_deck="retail") for name in accounts),
                    *(Account(tenant=self.tenant, name=name) for name in without_deck),
                ),
                carriers=(Carrier(tenant=self.tenant, name="alpha", buy_deck="alpha"),),
                trunks=(Trunk(tenant=self.tenant, name="in"),),
                decks=ids,
            )
            self.version = configs.publish(conn, config, "eve", "test", NOON)
        price_lists = {f"{self.tenant}/{name}": read_deck(csv, name, "EUR") for name, csv in self.decks.items()}
        self.terms = compile_contracts(msgspec.structs.replace(config, version=self.version), price_lists)

    def calls(self, *wanted: tuple[str, str, int], store: bool = True, **more: Any) -> None:
        """(account, number, seconds) each; every call tries a carrier in vain before it is answered."""
        log = []
        for account, number, seconds in wanted:
            at_ms, name = NOON + 1000 * self.offset, f"c{self.offset}"
            base = {"account": account, "ingress_trunk": "in", "b_raw": number, "a_raw": "4312345", "carrier": "alpha"}
            base |= {"dialog_id": name, "call_id": name}
            stop = {"event": "stop", "at_ms": at_ms + 1000 * seconds, "answer_ms": at_ms, "sip_code": 200, "attempt_no": 2}
            for fields in ({"event": "attempt", "at_ms": at_ms - 500, "attempt_no": 1, "sip_code": 503}, stop | more):
                record = msgspec.convert({"v": 2, "switch": "k1", "boot_id": "b", "seq": self.offset + 1, **base, **fields}, Record)
                key = journal_key(self.tenant, record.account, record.ingress_trunk)
                log.append(Message(0, self.offset, at_ms + HOUR, key, msgspec.json.encode(record)))
                self.offset += 1
        self.outcome = judge(State(b"s" * 16), log, lambda _: self.terms)
        client = open_warehouse(self.at.warehouse_dsn)
        for table in TABLES:
            insert(client, table, self.outcome.table(table).to_arrow())
        client.close()

    def spec(self, **wanted: Any) -> Any:
        with books(self.at) as conn:
            return rerate.spec_of(conn, *PERIOD, **{"tenant": self.tenant, **wanted})

    def compute(self, kind: Any = "rerate", **wanted: Any) -> Any:
        return rerate.compute(self.at, kind, self.spec(**wanted), "eve", "what if", NOON + DAY)

    def count(self, run: int, **more: Any) -> Any:
        return rerate.count(self.at, run, "eve", "agreed", NOON + DAY, **more)

    def file(self, content: bytes, name: str = "new.csv") -> str:
        path = self.root / name
        path.write_bytes(content)
        return str(path)

    def money(self) -> dict[str, str]:
        with warehouse(self.at) as client:
            sums = "SELECT role AS side, sum(amount) AS amount FROM charges_counted WHERE tenant = {tenant:String} AND level = 0 GROUP BY side"
            rows = ask(client, (sums, {"tenant": self.tenant}))
        return {row["side"]: to_text(int(row["amount"] * 10**9)) for row in rows}

    def dispositions(self) -> dict[str, int]:
        with warehouse(self.at) as client:
            found = ask(client, queries.totals(tenant=self.tenant))[0]
        return {name: int(count) for name, count in found.items() if count}


def lines(run: Any, by: str = "all") -> list[str]:
    found = []
    for line in run.found.lines:
        if line.by == by:
            causes = ", ".join(f"{cause} {to_text(int(nanos))}" for cause, _, nanos in line.causes)
            found.append(f"{line.name or line.role}: {to_text(int(line.before_nanos))} -> {to_text(int(line.after_nanos))} ({causes})")
    return found


@pytest.fixture
def installation(tmp_path: Path, new_warehouse, new_books: Path) -> Iterator[Installation]:
    """Of each test, its warehouse held open: to start the engine for every question, over what all tests have stored, takes longer than to
    answer."""
    at = Installation.embedded(tmp_path)
    shutil.copy(new_books, at.root / "books.db")
    new_warehouse(at.root / "warehouse")
    held = open_warehouse(at.warehouse_dsn)
    yield at
    held.close()


@pytest.fixture
def house(installation: Installation) -> House:
    """Three calls that have a price, and one that has none."""
    with books(installation) as conn:
        number = len(tenants.every(conn))
    house = House(installation, f"t{number}")
    house.calls(("acme", "43664111", 60), ("acme", "44200333", 61), ("blue", "43664222", 120), ("blue", "4930123", 60))
    return house


DEARER = RETAIL.replace(b"0.06", b"0.12")


def test_the_same_terms_change_nothing(house):
    run = house.compute()
    assert lines(run) == ["buy: 0.086333333 -> 0.086333333 ()", "sell: 0.25 -> 0.25 ()"]
    assert (run.state, run.found.calls) == ("computed", 3)
    assert [(one.reason, one.calls, one.example) for one in run.found.unpriced] == [("sell: no rate in deck retail", 1, "blue to 4930123")]


def test_a_what_if_stores_nothing_and_tells_the_change_by_account_destination_and_cause(house):
    before = house.money()
    run = house.compute(price_lists={"retail": house.file(DEARER)})
    assert lines(run, "account") == ["blue: 0.12 -> 0.24 (rate 0.12)", "acme: 0.13 -> 0.19 (rate 0.06)"]
    assert lines(run, "destination") == ["Austria: 0.18 -> 0.36 (rate 0.18)"] and lines(run, "carrier") == ["alpha: 0.25 -> 0.43 (rate 0.18)"]
    assert house.money() == before
    with warehouse(house.at) as client:
        assert client.query(f"SELECT count() FROM charges WHERE run > 0 AND tenant = '{house.tenant}'").first_row == (0,)


def test_a_run_counts_when_a_person_says_so_and_is_taken_back(house):
    assert house.money()["sell"] == "0.25"
    run = house.compute(price_lists={"retail": house.file(DEARER)})
    counted = house.count(run.run)
    assert (counted.state, house.money()["sell"]) == ("counts", "0.43")
    assert house.count(run.run) == counted, "again is harmless"
    taken = rerate.withdraw(house.at, run.run, "eve", "the wrong list", NOON + 2 * DAY)
    assert (taken.state, house.money()["sell"]) == ("withdrawn", "0.25")
    with pytest.raises(rerate.NotNow, match="is withdrawn"):
        house.count(run.run)


@pytest.mark.parametrize(("wanted", "calls", "sell"), [
    ({"account": "blue"}, 1, "0.37"), ({"carrier": "alpha"}, 3, "0.43"), ({"carrier": "nobody"}, 0, "0.25"),
])  # fmt: skip
def test_an_account_or_a_carrier_alone(house, wanted, calls, sell):
    run = house.compute(price_lists={"retail": house.file(DEARER)}, **wanted)
    assert run.found.calls == calls
    house.count(run.run)
    assert house.money()["sell"] == sell


def test_what_a_feed_said_stands_where_no_deck_of_ours_prices_the_party(house):
    house.publish(without_deck=("fed",))
    house.calls(("fed", "43664999", 60), sell_amount="0.4", currency="EUR")
    assert house.money()["sell"] == "0.65"
    run = house.compute()
    assert lines(run, "account") == [] and run.found.calls == 4 and lines(run)[-1] == "sell: 0.65 -> 0.65 ()"
    house.publish(accounts=("acme", "blue", "fed"))
    assert lines(house.compute(account="fed"), "account") == ["fed: 0.4 -> 0.06 (deck -0.34)"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", ["counting", "charges", "counts"])
def test_killed_anywhere_nothing_is_half_counted_and_the_same_again_goes_on(house, at):
    run = house.compute(price_lists={"retail": house.file(DEARER)})

    def die(effect: str) -> None:
        if effect == at:
            raise Killed

    with pytest.raises(Killed):
        house.count(run.run, done=die)
    assert house.money()["sell"] == ("0.43" if at == "counts" else "0.25"), "all of it, or nothing"
    assert rerate.run_of(house.at, run.run).state == "counting"
    assert (house.count(run.run).state, house.money()["sell"]) == ("counts", "0.43")


def test_two_runs_the_later_one_counts_and_an_earlier_one_is_refused(house):
    first = house.compute(price_lists={"retail": house.file(DEARER)})
    second = house.compute(price_lists={"retail": house.file(RETAIL.replace(b"0.06", b"0.18"), "other.csv")})
    house.count(second.run)
    assert house.money()["sell"] == "0.61"
    with pytest.raises(rerate.NotNow, match="price the calls again"):
        house.count(first.run)
    third = house.compute(price_lists={"retail": house.file(DEARER)})
    assert third.run == first.run + 2 and lines(third)[0].startswith("sell: 0.61 -> 0.43")
    house.count(third.run)
    assert house.money()["sell"] == "0.43"


def test_a_run_that_would_change_something_else_than_was_seen_never_counts(house):
    run = house.compute(price_lists={"retail": house.file(DEARER)})
    house.calls(("acme", "43664111", 600))  # the same evening, a late record
    with pytest.raises(rerate.Changed, match="4 calls instead of 3"):
        house.count(run.run)
    assert (rerate.run_of(house.at, run.run).state, house.money()["sell"]) == ("void", "0.85")
    with pytest.raises(rerate.NotNow, match="is void"):
        house.count(run.run)
    again = house.compute(price_lists={"retail": house.file(DEARER)})
    house.count(again.run)
    assert house.money()["sell"] == "1.63"


def test_a_correction_after_the_run_counts_and_is_named(house):
    run = house.compute(price_lists={"retail": house.file(DEARER)})
    house.count(run.run)
    client = open_warehouse(house.at.warehouse_dsn)
    sale = house.outcome.charges.filter(role="sell", account="acme").head(1)
    corrected = sale.with_columns(revision=sale["revision"] + 1, usage_nanos=sale["usage_nanos"] * 0, nanos=sale["nanos"] * 0)
    insert(client, "charges", corrected.to_arrow())
    corrected = [row for row in ask(client, queries.corrected_after_run()) if row["tenant"] == house.tenant]
    assert [(row["run_revision"], row["last_run"]) for row in corrected] == [(1, run.run)]
    client.close()
    assert house.money()["sell"] == "0.31", "0.43 without the first call"


def test_a_number_that_the_books_have_forgotten_is_not_given_out_again(house):
    run = house.compute(price_lists={"retail": house.file(DEARER)}).run
    house.count(run)
    with books(house.at) as conn:
        conn.exec_driver_sql("DELETE FROM rating_runs")  # as after a restore of older books
    assert house.compute().run == run + 1


def test_an_installation_that_runs_takes_the_charges_from_the_command(house, monkeypatch):
    """As a second process: the store holds the warehouse."""
    import threading

    directory, stop = house.root / "warehouse", threading.Event()
    holder = open_warehouse(house.at.warehouse_dsn)
    thread = threading.Thread(target=handing.take, args=(directory, stop))
    thread.start()
    from contextlib import contextmanager

    @contextmanager
    def handed(dsn):
        yield lambda table, rows: handing._hand(directory, table, rows)

    monkeypatch.setattr(handing, "inserting", handed)
    try:
        run = house.compute(price_lists={"retail": house.file(DEARER)})
        house.count(run.run)
    finally:
        stop.set()
        thread.join()
        holder.close()
    assert house.money()["sell"] == "0.43"


# --- recycling -----------------------------------------------------------------------------------------------------------------------


def test_calls_without_a_price_get_one_after_a_fix_once_and_keep_their_offset(house):
    house.calls(("newcomer", "43664333", 60))
    assert house.dispositions() == {"received": 10, "rated": 3, "unrated": 2, "events": 5}
    nothing = house.compute("recycle")
    assert nothing.found.calls == 0 and sum(one.calls for one in nothing.found.unpriced) == 2

    house.publish(accounts=("acme", "blue", "newcomer"), retail=RETAIL + b"49,Germany,0.05,0,1,1\n")
    run = house.compute("recycle")
    assert lines(run, "account") == [
        "newcomer: 0 -> 0.06 (was unrated 0.06)", "blue: 0 -> 0.05 (was unrated 0.05)",
        "blue: 0 -> 0.022 (was unrated 0.022)", "newcomer: 0 -> 0.022 (was unrated 0.022)",
    ]  # fmt: skip
    house.count(run.run)
    assert house.money()["sell"] == "0.36" and house.dispositions() == {"received": 10, "rated": 5, "events": 5}
    with warehouse(house.at) as client:
        sql = "SELECT account, offset, run FROM charges_counted WHERE role = 'sell' AND run > 0 AND tenant = {tenant:String} ORDER BY offset"
        sold = client.query(sql, {"tenant": house.tenant}).result_rows
        assert sold == [("blue", 7, run.run), ("newcomer", 9, run.run)]
    assert house.compute("recycle").found.calls == 0, "charged once"


@pytest.mark.parametrize(("reason", "sell"), [("NO RATE", "0.3"), ("is not known", "0.31"), ("something else", "0.25")])
def test_only_what_was_unrated_for_a_reason(house, reason, sell):
    house.calls(("newcomer", "43664333", 60))
    house.publish(accounts=("acme", "blue", "newcomer"), retail=RETAIL + b"49,Germany,0.05,0,1,1\n")
    house.count(house.compute("recycle", reason=reason).run)
    assert house.money()["sell"] == sell


@pytest.mark.parametrize("at", ["charges", "counts", "records"])
def test_a_recycling_that_is_killed_goes_on(house, at):
    house.publish(retail=RETAIL + b"49,Germany,0.05,0,1,1\n")
    run = house.compute("recycle")

    def die(effect: str) -> None:
        if effect == at:
            raise Killed

    with pytest.raises(Killed):
        house.count(run.run, done=die)
    house.count(run.run)
    assert house.money()["sell"] == "0.3" and house.dispositions() == {"received": 8, "rated": 4, "events": 4}
    rerate.withdraw(house.at, run.run, "eve", "no", NOON)
    assert house.money()["sell"] == "0.25" and house.dispositions() == {"received": 8, "rated": 3, "unrated": 1, "events": 4}


# --- the command ---------------------------------------------------------------------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs" / "rerate.md"


def said(house: House, *words: str) -> str:
    """What the command prints; the numbers of runs are those of the docs."""
    result = CliRunner().invoke(app, [*words, "--home", str(house.root)])
    assert result.exit_code == 0, result.output
    output = re.sub(r"\b(Run|count|show|withdraw) \d+", r"\1 7", result.output)
    return re.sub(r"config version \d+", "config version 1", output).replace(f"{house.tenant}/", "t1/")


def test_the_example_of_the_docs(house):
    """By the command itself, and back."""
    day = ("--from", "2025-11-25", "--to", "2025-11-26", "--tenant", house.tenant)
    shown = said(house, "rerate", *day, "--deck", f"retail={house.file(DEARER)}", "--why", "what if")
    for line in shown.splitlines():
        assert line in DOCS.read_text(), shown
    number = str(rerate.every(house.at)[0].run)
    assert said(house, "runs", "count", number, "--why", "agreed") == "Run 7 counts: 3 calls.\n" and house.money()["sell"] == "0.43"
    assert said(house, "runs", "show", number).splitlines()[0].endswith("3 calls, counts")
    assert msgspec.json.decode(said(house, "runs", "list", "--json"))[0]["lines"][0]["after"] == "0.43"
    assert said(house, "runs", "withdraw", number, "--why", "the wrong list") == "Run 7 does not count any more.\n"
    assert house.money()["sell"] == "0.25"
    house.publish(retail=RETAIL + b"49,Germany,0.05,0,1,1\n")
    recycled = said(house, "recycle", *day, "--commit", "--yes", "--why", "49 was missing")
    assert "was unrated +0.05 in 1 charge" in recycled and recycled.endswith("Run 7 counts.\n") and house.money()["sell"] == "0.3"


def test_the_command_says_what_is_wrong_with_what_was_typed(house):
    for words, told in (
        (["rerate", "--from", "2025-11-25", "--to", "2025-11-26", "--deck", "retail"], "write NAME=FILE"),
        (["rerate", "--from", "yesterday", "--to", "2025-11-26"], "does not match the"),
        (["recycle", "--from", "2025-11-25", "--to", "2025-11-26", "--commit"], "say --why"),
        (["runs", "count", "999", "--why", "x"], "There is no rating run 999"),
    ):
        result = CliRunner().invoke(app, [*words, "--home", str(house.root)])
        assert result.exit_code and (told in result.output or told in str(result.exception)), result.output


# --- what cannot be asked for ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"version": 999}, "There is no config version 999; the newest is "),
        ({"price_lists": {"retial": "x.csv"}}, r"has no deck 'retial' for t\d+; it has: alpha, retail"),
        ({"price_lists": {"retail": "/nowhere.csv"}}, "--deck retail=/nowhere.csv: No such file"),
        ({"price_lists": {"retail": "0" * 64}}, "The books have no deck version 000"),
        ({"tenant": "t999"}, "There is no tenant 't999'"),
    ],
)
def test_what_is_not_there_is_named(house, wanted, words):
    with pytest.raises((BadArgument, UnknownName), match=words):
        house.spec(**wanted)


def test_a_price_list_that_cannot_be_read_names_its_line(house):
    with pytest.raises(BadArgument, match="line 2: 'x' is not a decimal amount"):
        house.spec(price_lists={"retail": house.file(b"prefix,price_per_min\n43,x\n")})


def test_an_empty_period_and_a_backward_one(house):
    with books(house.at) as conn, pytest.raises(BadArgument, match="--to must be after --from"):
        rerate.spec_of(conn, NOON, NOON)
    with books(house.at) as conn:
        spec = rerate.spec_of(conn, 0, 1, tenant=house.tenant)
    assert rerate.compute(house.at, "rerate", spec, "eve", "", NOON).found.calls == 0
    with pytest.raises(UnknownName, match="no rating run 77"):
        house.count(77)


# --- taking back, and rejects --------------------------------------------------------------------------------------------------------------


def test_a_recycling_is_taken_back_and_can_be_done_again(house):
    before = house.dispositions()
    house.publish(retail=RETAIL + b"49,Germany,0.05,0,1,1\n")
    run = house.compute("recycle")
    house.count(run.run)
    assert house.money()["sell"] == "0.3" and house.dispositions() != before
    for _ in range(2):  # a repeat is harmless
        assert rerate.withdraw(house.at, run.run, "eve", "too early", NOON + 2 * DAY).state == "withdrawn"
        assert house.money()["sell"] == "0.25" and house.dispositions() == before
    with warehouse(house.at) as client:
        reasons = "SELECT reason FROM records_latest WHERE tenant = {tenant:String} AND disposition = 'unrated'"
        assert "no rate for 4930123" in ask(client, (reasons, {"tenant": house.tenant}))[0]["reason"]
    house.count(house.compute("recycle").run)
    assert house.money()["sell"] == "0.3"


def test_a_recycling_below_a_later_run_is_not_taken_back(house):
    house.publish(retail=RETAIL + b"49,Germany,0.05,0,1,1\n")
    run = house.compute("recycle")
    house.count(run.run)
    later = house.compute()
    house.count(later.run)
    with pytest.raises(rerate.NotNow, match=f"Run {later.run} was made after run {run.run} and counts for calls of the same days: withdraw that"):
        rerate.withdraw(house.at, run.run, "eve", "too early", NOON + 2 * DAY)


@contextmanager
def an_older_release() -> Iterator[None]:
    """It cannot read a stop."""

    def read(value: bytes) -> Record:
        if b'"stop"' in value:
            raise msgspec.DecodeError("unexpected")
        return msgspec.json.decode(value, type=Record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.decode._decode", read)
        yield


def an_unreadable_stop(house: House) -> tuple[int, bytes]:
    """A call of a minute whose answer is stored, and whose stop is a reject: the offset of its answer, and the stop."""
    first, at_ms = house.offset, NOON + 1000 * house.offset
    base = {"v": 2, "switch": "k1", "boot_id": "b", "account": "acme", "ingress_trunk": "in", "b_raw": "43664111", "a_raw": "4312345"}
    base |= {"carrier": "alpha", "dialog_id": "x", "call_id": "x", "attempt_no": 1}
    stop = msgspec.json.encode(base | {"event": "stop", "seq": first + 2, "at_ms": at_ms + 60_000, "sip_code": 200})
    answer = msgspec.json.encode(base | {"event": "answer", "seq": first + 1, "at_ms": at_ms})
    key = journal_key(house.tenant, "acme", "in")
    with an_older_release():
        store(house, [Message(0, first + n, at_ms + HOUR, key, body) for n, body in enumerate((answer, stop))])
    house.offset += 2
    return first, stop


def store(house: House, log: list[Message]) -> None:
    outcome = judge(State(b"s" * 16), log, lambda _: house.terms)
    client = open_warehouse(house.at.warehouse_dsn)
    for table in TABLES:
        insert(client, table, outcome.table(table).to_arrow())
    client.close()


def rejects_of(house: House) -> Any:
    with books(house.at) as conn:
        spec = rerate.spec_of(conn, NOON, NOON + DAY, tenant=house.tenant)
    return rerate.compute(house.at, "rejects", spec, "eve", "the decoder reads them now", NOON + DAY)


def test_a_reject_that_can_be_read_is_charged_once_under_its_calls_first_offset(house):
    (first, _), before, sold = an_unreadable_stop(house), house.dispositions(), house.money()["sell"]
    with an_older_release():
        assert before["rejected"] == 1 and rejects_of(house).found.calls == 0
    run = rejects_of(house)
    assert lines(run) == ["sell: 0 -> 0.06 (was unrated 0.06)", "buy: 0 -> 0.021 (was unrated 0.021)"]
    assert run.found.notes[0] == "rejects that can be read now: 1 rated"
    house.count(run.run)
    after = house.dispositions()
    assert (after["received"], after.get("rejected", 0), after["rated"]) == (before["received"], 0, before["rated"] + 1)
    with warehouse(house.at) as client:
        rows = "SELECT DISTINCT offset, record_offset, run FROM charges_counted WHERE tenant = {tenant:String} AND run > 0"
        assert [tuple(row.values()) for row in ask(client, (rows, {"tenant": house.tenant}))] == [(first, first + 1, run.run)]
    assert rejects_of(house).found.calls == 0 and house.count(run.run).state == "counts", "charged once"

    rerate.withdraw(house.at, run.run, "eve", "not yet", NOON + 2 * DAY)
    assert house.dispositions() == before and house.money()["sell"] == sold
    assert house.compute("recycle").found.calls == 0  # its record is a reject: only a run of rejects takes it
    house.count(rejects_of(house).run)
    assert house.dispositions() == after


@pytest.mark.parametrize("effect", ["charges", "counts", "attempts", "calls", "records"])
def test_a_run_of_rejects_that_is_killed_goes_on(house, effect):
    an_unreadable_stop(house)
    run = rejects_of(house)

    def die(done: str) -> None:
        if done == effect:
            raise Killed

    with pytest.raises(Killed):
        house.count(run.run, done=die)
    house.count(run.run)
    assert house.money()["sell"] == "0.31" and house.dispositions().get("rejected", 0) == 0


def test_a_reject_whose_call_ended_otherwise_is_left_as_it_is(house):
    first, stop = an_unreadable_stop(house)
    body = msgspec.json.encode(msgspec.json.decode(stop) | {"answer_ms": NOON + 1000 * first})
    store(house, [Message(0, house.offset, NOON + 2 * HOUR, journal_key(house.tenant, "acme", "in"), body)])
    run = rejects_of(house)
    assert run.found.calls == 0 and [one.reason for one in run.found.unpriced] == ["its call ended otherwise, and is left as it is"]


def test_the_clock_of_a_period(house):
    house.publish(package=BUNDLE)
    with books(house.at) as conn:
        assert [rerate.zone_of(conn, house.tenant, name) for name in ("UTC", "Europe/Vienna", "bundle")] == ["UTC", "Europe/Vienna", "UTC"]
        with pytest.raises(BadArgument, match="--zone Vienna: neither a time zone, such as Europe/Vienna, nor an agreement of t"):
            rerate.zone_of(conn, house.tenant, "Vienna")
    shown = said(house, "rerate", "--from", "2025-11-25", "--to", "2025-11-26", "--zone", "Europe/Vienna", "--tenant", house.tenant)
    assert shown.splitlines()[0].split(": ")[1].startswith("2025-11-25 to 2025-11-26 Europe/Vienna")


# --- packages ---------------------------------------------------------------------------------------------------------------------------

BUNDLE = Package(allowances=(Allowance(name="local", prefixes=("43",), included_s=90),))


def test_a_package_is_applied_by_a_run_and_a_late_call_moves_the_others_when_the_cycle_is_run_again(house):
    house.publish(package=BUNDLE)
    house.calls(("pack", "4312345", 60), ("pack", "4412345", 60), ("pack", "4312345", 60))
    assert house.money()["sell"] == "0.41"  # 0.16 of it are these: live each call is priced by its deck
    run = house.compute(account="pack")
    assert sorted(lines(run)) == ["buy: 0.066 -> 0.066 ()", "sell: 0.16 -> 0.07 (package -0.09)"]
    house.count(run.run)
    assert house.money()["sell"] == "0.32"
    assert sorted(lines(house.compute(account="pack"))) == ["buy: 0.066 -> 0.066 ()", "sell: 0.07 -> 0.07 ()"]

    # Three seconds of the day are priced by what the whole day comes to.
    last_ms = NOON + 1000 * (house.offset - 2)
    with books(house.at) as conn:
        part = rerate.spec_of(conn, last_ms - 1_000, last_ms + 1_000, tenant=house.tenant, account="pack")
    assert sorted(lines(rerate.compute(house.at, "rerate", part, "eve", "a part", NOON + DAY))) == ["buy: 0.022 -> 0.022 ()", "sell: 0.03 -> 0.03 ()"]

    house.calls(("pack", "4312345", 60), answer_ms=NOON - 10_000, at_ms=NOON + 50_000)  # comes in last, and is the first of the day
    assert house.money()["sell"] == "0.38"
    late = house.compute(account="pack")
    assert sorted(lines(late)) == ["buy: 0.088 -> 0.088 ()", "sell: 0.13 -> 0.13 (package 0)"]
    house.count(late.run)
    with warehouse(house.at) as client:
        words = "SELECT package FROM charges_counted WHERE tenant = {tenant:String} AND role = 'sell' AND account = 'pack' ORDER BY start_ms"
        assert [row["package"] for row in ask(client, (words, {"tenant": house.tenant}))] == ["local 60 s", "local 30 s", "", ""]


def sold_to_pack(house: House) -> int:
    with books(house.at) as conn:
        return sum(one.nanos for one in ledger.balances(conn, house.tenant, "pack", ("unbilled",)))


def test_a_run_of_invoices_applies_the_package_of_its_cycle_once_whatever_effect_is_the_last(house):
    house.publish(package=BUNDLE)
    house.calls(("pack", "4312345", 60), ("pack", "4412345", 60), ("pack", "4312345", 60))
    posting.post(house.at, NOON + DAY)
    house.publish(package=BUNDLE, retail=DEARER)  # calls of nobody else are priced again by it
    before, visited = house.money()["sell"], []

    def dies(effect: str) -> None:
        if effect in ("counting", "counts", "posted") and effect not in visited:
            visited.append(effect)
            raise KeyboardInterrupt(effect)

    until, now_ms = date(2025, 11, 26), NOON + DAY
    seen = invoice_packages.preview(house.at, house.tenant, until)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            invoice_packages.apply(house.at, house.tenant, until, "eve", now_ms, done=dies)
    assert visited == ["counting", "counts", "posted"]
    done = invoicing.run(house.at, house.tenant, "2025-11-26", "eve", now_ms)
    (one,) = seen
    # by the new list 0.12 + 0.04 + 0.12; 90 s of Austria are included, and 30 s are left, at 0.06
    assert (one.agreement, str(one.period.first), one.run, one.change) == ("bundle", "2025-11-25", 0, (("EUR", -60_000_000),))
    assert sold_to_pack(house) == 100_000_000
    assert to_text(int(Decimal(house.money()["sell"]) * 10**9) - int(Decimal(before) * 10**9)) == "-0.06"
    assert sorted((draft.party, draft.net) for draft in done.drafts if draft.party in ("pack", "acme")) == [("pack", 10)]
    assert len([run for run in rerate.every(house.at) if run.spec.tenant == house.tenant and run.state == "counts"]) == 1
    assert invoicing.run(house.at, house.tenant, "2025-11-26", "eve", now_ms).packages == []


def test_a_call_that_comes_after_the_invoice_of_a_package_is_on_the_next_one_with_what_it_moves(house):
    house.publish(package=BUNDLE)
    house.offset = 1_000  # above what the other tests of this installation have posted
    house.calls(("pack", "4312345", 100))
    posting.post(house.at, NOON + DAY)
    (first,) = invoicing.run(house.at, house.tenant, "2025-11-26", "eve", NOON + DAY).drafts
    assert (first.party, first.net) == ("pack", 1)  # of 100 s 90 are included
    house.publish(package=BUNDLE, retail=DEARER)  # the new list is not for what is invoiced
    house.calls(("pack", "4312345", 60), answer_ms=NOON - 10_000, at_ms=NOON + 50_000)  # the first of its day
    posting.post(house.at, NOON + 2 * DAY)
    assert sold_to_pack(house) == 130_000_000, "live, by the list in force"
    (seen,) = invoice_packages.preview(house.at, house.tenant, date(2025, 11, 27))
    assert (str(seen.period.first), seen.change) == ("2025-11-25", (("EUR", -60_000_000),))
    done = invoicing.run(house.at, house.tenant, "2025-11-27", "eve", NOON + 2 * DAY)
    (second,) = done.drafts
    # it takes 60 s of the package, and of the call that was invoiced 70 s are left, at the old 0.06, where 10 s were
    assert second.net == 6 and {line.kind for line in second.read().lines} == {"late"}
    assert sold_to_pack(house) == 70_000_000 and len(done.packages) == 1
    assert invoice_packages.preview(house.at, house.tenant, date(2025, 11, 27)) == []
    assert invoice_proof.prove(house.at, house.tenant).faults == []
