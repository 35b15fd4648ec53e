"""Credit: what every party with a limit has left, and a finding, with a block where its agreement says so, for whoever has used more.

The poster asks after each round, so that the answer has what is posted, what is stored and not posted, and what calls in progress come to by now,
priced by the config in force. Order of a check: the questions, then findings and orders in one transaction; a crash before it leaves nothing, and the
next round asks again. Orders go through the same safety and limits as those of the detectors: shadow, lists, suppressions; emergency numbers pass at
the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assurance.credit import Exposure, limit_of, words
from books import Connection, Engine, alerts, ledger, orders, postings, reading, writing
from core.config import Account, Agreement, agreement_of, chain_of, party_of
from core.decide import decide_all
from core.ids import derived_id
from core.orders import BlockOrder, Finding, Key, order_id
from rating.contracts import Terms
from services import posting, quotes
from services.in_force import View
from services.quotes import QuoteRequest
from services.subjects import Ask
from warehouse import owed, queries
from warehouse.owed import State

LONGEST_CALL_MS = 4 * 3_600_000
"""A call that was answered longer ago has ended: judge closes it by then, unless its trunk's profile allows more."""
DAY_MS = 86_400_000
TTL_MS, REISSUE_MS = 600_000, 300_000
"""A block ends so soon after the last finding, so that whoever pays calls again within ten minutes; it is issued again in between."""

Money = dict[tuple[str, str, str], int]
"""(tenant, party, currency) -> nanos."""


@dataclass(frozen=True)
class Credit:
    """A party, its agreements of one currency, the accounts whose calls it owes for (of a reseller: those of the parties under it as well), and its
    exposure."""

    tenant: str
    party: str
    currency: str
    accounts: tuple[Account, ...]
    agreements: tuple[Agreement, ...]
    exposure: Exposure


def credits(
    conn: Connection, ask: Ask, terms: Terms, now_ms: int, tenant: str = "", party: str = "", limited: bool = False
) -> Iterator[Credit]:  # fmt: skip
    """Everybody who is sold to, customers and resellers ("" = of every tenant, every party), with or without a limit; `limited`: only with one. Of
    the calls in progress only those that somebody in the answer owes for are priced."""
    of: dict[tuple[str, str, str], list[tuple[Account, Agreement]]] = {}
    for row in terms.rows["accounts"].values():
        for member in chain_of(row, terms.find) if tenant in ("", row.tenant) else ():
            agreement = agreement_of(member, terms.find)
            if agreement is not None and party in ("", party_of(member)):
                of.setdefault((row.tenant, party_of(member), agreement.currency), []).append((row, agreement))
    limits = {key: limit_of({one.name: one for _, one in rows}.values()) for key, rows in of.items()}
    of = {key: rows for key, rows in of.items() if not limited or limits[key] is not None}
    if not of:
        return
    receivable, unbilled = _ledger(conn, tenant, party)
    callers = {(row.tenant, row.name) for rows in of.values() for row, _ in rows}
    unposted, in_flight = _unposted(conn, ask), _in_flight(ask, terms, now_ms, callers)
    for key, rows in sorted(of.items()):
        agreements = {one.name: one for _, one in rows}
        found = Exposure(receivable.get(key, 0), unbilled.get(key, 0), unposted.get(key, 0), in_flight.get(key, 0), limits[key])
        accounts = {row.name: row for row, _ in rows}
        yield Credit(*key, tuple(accounts[name] for name in sorted(accounts)), tuple(agreements.values()), found)


def _ledger(conn: Connection, tenant: str, party: str) -> tuple[Money, Money]:
    receivable: Money = {}
    unbilled: Money = {}
    for account, nanos in ledger.balances(conn, tenant, party, ("receivable", "unbilled")):
        money = receivable if account.kind == "receivable" else unbilled
        key = account.tenant, account.party, account.currency
        money[key] = money.get(key, 0) + nanos
    return receivable, unbilled


def _unposted(conn: Connection, ask: Ask) -> Money:
    before = postings.last(conn).posted
    after, since_ms, _ = posting.stored(ask, before)
    found: Money = {}
    for row in ask(owed.by_party(State(before), State(after), since_ms=since_ms)):
        if row["role"] == "sell":
            key = row["tenant"], row["party"], row["currency"]
            found[key] = found.get(key, 0) + int(row["nanos"])
    return found


def _in_flight(ask: Ask, terms: Terms, now_ms: int, callers: set[tuple[str, str]]) -> Money:
    """What calls of some accounts that were answered and have no end yet come to if they end now, for the customer and each reseller above."""
    found: Money = {}
    for row in ask(queries.in_progress(now_ms - LONGEST_CALL_MS)):
        if (row["tenant"], row["account"]) not in callers:
            continue
        asked = QuoteRequest(
            row["account"], f"+{row['b_number']}", f"+{row['a_number']}" if row["a_number"] else "", row["lrn"], "", int(row["answer_ms"]),
            max(now_ms - int(row["answer_ms"]), 1000), row["setup_ms"],
        )  # fmt: skip
        for one in (quotes.ask(terms, row["tenant"], asked), *quotes.resellers(terms, row["tenant"], asked)):
            if one.offer is not None and not one.why_not:
                key = row["tenant"], one.party, one.offer.currency
                found[key] = found.get(key, 0) + one.nanos
    return found


def checker(engine: Engine, terms_of: Callable[[int], Terms]) -> Callable[[Ask, int], int]:
    """What checks everybody, of (a question to the warehouse, now): writes findings about whoever has used more than it may, with their orders, and
    returns how many parties these are. A config without limits is not compiled."""
    limited: dict[int, bool] = {}

    def check(ask: Ask, now_ms: int) -> int:
        with reading(engine) as conn:
            view = View(conn)
            if view.version not in limited:
                limited.clear()
                limited[view.version] = any(limit_of([one]) is not None for one in view.every(("agreements",)) if one.role == "sell")
            if not limited[view.version]:
                return 0
            over = [one for one in credits(conn, ask, terms_of(view.version), now_ms, limited=True) if one.exposure.exceeded]
        if over:
            with writing(engine) as conn:
                _write(conn, over, now_ms)
        return len(over)

    return check


def _write(conn: Connection, over: list[Credit], now_ms: int) -> None:
    wanted: list[BlockOrder] = []
    for one in over:
        blocks = any(agreement.over_credit == "block" for agreement in one.agreements)
        reason = words(one.party, one.currency, one.exposure)
        # A customer is an alert per account, a reseller is one: the accounts under it may be many.
        resells = any(party_of(row) != one.party for row in one.accounts)
        for names in ([[row.name for row in one.accounts]] if resells else [[row.name] for row in one.accounts]):
            subject = one.party if resells else names[0]
            finding_id = derived_id("finding", one.tenant, "credit", *([one.party] if resells else []), subject, one.currency, now_ms // DAY_MS)
            whose = f"the {len(names)} accounts that it owes for" if resells else subject
            then = f"Ordered for 10 minutes at a time: refuse new calls of {whose}." if blocks else "Nothing is ordered (`over_credit: alert`)."
            known = alerts.find(conn, finding_id)
            alerts.upsert(conn, Finding(
                finding_id=finding_id, tenant=one.tenant, detector="credit", subject_kind="party" if resells else "account", subject=subject,
                detected_at_ms=known.detected_at_ms if known else now_ms, first_ms=known.first_ms if known else now_ms, last_ms=now_ms, calls=0,
                exposure_nanos=-(one.exposure.left or 0), currency=one.currency, score=1.0, reason=f"{reason} {then}", example_call_ids=[],
                key=Key(tenant=one.tenant, account=subject) if blocks and not resells else None, learned_ms=now_ms,
            ), now_ms)  # fmt: skip
            for key in (Key(tenant=one.tenant, account=name) for name in names if blocks):
                order = order_id(key, finding_id, now_ms // REISSUE_MS)
                if orders.find(conn, order) is None:
                    wanted.append(BlockOrder(
                        order_id=order, key=key, action="refuse", created_at_ms=now_ms, learned_ms=now_ms, expires_at_ms=now_ms + TTL_MS,
                        finding_id=finding_id, reason=reason, by="credit",
                    ))  # fmt: skip
    facts = orders.facts(conn, wanted, now_ms, automatic=True)
    for order_, decision in zip(wanted, decide_all(wanted, facts), strict=True):
        orders.write(conn, order_, decision, now_ms, automatic=True)
