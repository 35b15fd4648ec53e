"""A carrier's file into a version of his deck: read, compared, checked, stored; or findings, and nothing stored.

What a crash leaves behind: nothing, since what is stored is one transaction. The same file again is the version that it made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Literal, cast
from zoneinfo import ZoneInfo

import msgspec

from books import Connection, decks, offers
from books.offers import Facts, Import
from core.currencies import CURRENCIES
from core.safety import is_table_name
from rating.deck import Deck
from rating.decks import DeckError, read_deck
from rating.offers import checks
from rating.offers.compare import Changes, compare
from rating.offers.finding import Findings, OfferError
from rating.offers.guess import guess
from rating.offers.mapping import Mapping, Profile
from rating.offers.merge import Base, Columns, base_of, columns_of, merge, missing_codes
from rating.offers.places import FileFacts, facts_outside_table
from rating.offers.rows import Offer, take
from rating.offers.table import open_table
from services.deck_desk import exchange, plans
from services.deck_desk.collector import paused_collector
from services.errors import BadArgument, ServiceError
from services.in_force import View

MOST_OTHERS = 16
"""Carriers whose prices an imported deck is compared with."""
LIKELY_FULL = 0.8
"""Of the codes in force: a file that names as many is taken for a whole A-Z."""


@dataclass(frozen=True)
class ImportOptions:
    """What a person said about a file. "" = as the carrier's profile, or the file itself, says."""

    carrier: str
    currency: str = ""
    scope: Literal["", "full", "partial"] = ""
    missing: Literal["", "closed", "unchanged"] = ""
    profile: Profile | None = None  # corrected by hand
    sheet: str = ""
    valid_from: str = ""  # ISO date
    guess_again: bool = False


@dataclass(frozen=True)
class Imported:
    """What became of a file. `version` None = nothing was stored, and `findings` say why."""

    profile: Profile
    reasons: tuple[tuple[str, str], ...]
    findings: Findings
    version: Import | None = None
    changes: Changes | None = None
    base: str = ""
    rows: int = 0
    known: bool = False  # the same file had made this version before
    csv: bytes = field(default=b"", repr=False)  # of the version


@dataclass
class _Reading:
    """What is known of a file while it is read."""

    findings: Findings = field(default_factory=Findings)
    profile: Profile = field(default_factory=Profile)
    reasons: tuple[tuple[str, str], ...] = ()
    offer: Offer | None = None
    valid_from_ms: int | None = None

    def result(self, **more: object) -> Imported:
        return Imported(self.profile, self.reasons, self.findings, rows=self.offer.rows if self.offer else 0, **more)  # type: ignore[arg-type]


def import_file(
    conn: Connection, tenant: str, asked: ImportOptions, content: bytes, file_name: str, who: str, now_ms: int
) -> Imported:
    """Reads a carrier's file and, where there is no error, stores the version: `read_file` and `keep` in one transaction."""
    done = read_file(conn, tenant, asked, content, file_name, who, now_ms)
    return keep(conn, done) if done.version is not None else done


def keep(conn: Connection, done: Imported) -> Imported:
    """Stores a version that was read, unless the books have it, and how the file was read for the next one.

    Raises `ServiceError` where the carrier's plan is another by now: reading half a million rows takes a while, and a writing transaction
    around it would keep everybody else waiting.
    """
    assert done.version is not None
    tenant, carrier = done.version.tenant, done.version.carrier
    if done.known:
        offers.keep_profile(conn, tenant, carrier, done.profile, done.version.who, done.version.at_ms)
        return done
    view = View(conn)
    base = plans.plan_of(view, tenant, carrier).last()
    if base != done.version.base or (base and view.decks(tenant).get(base) != done.version.base_id):
        raise ServiceError(f"The plan of carrier {carrier} was changed while the file was read: import it again.")
    number = offers.next_number(conn, tenant, carrier)
    version = msgspec.structs.replace(done.version, number=number)
    decks.add(conn, done.csv, version.facts.currency, version.who, version.at_ms)
    offers.add(conn, version)
    offers.keep_profile(conn, tenant, carrier, done.profile, version.who, version.at_ms)
    return replace(done, version=version, csv=b"")


def read_file(conn: Connection, tenant: str, asked: ImportOptions, content: bytes, file_name: str, who: str, now_ms: int) -> Imported:
    """Reads a carrier's file and writes nothing. `version` is what would be stored; None = an error among the findings says why not."""
    with paused_collector():
        return _read_file(conn, tenant, asked, content, file_name, who, now_ms)


def _read_file(conn: Connection, tenant: str, asked: ImportOptions, content: bytes, file_name: str, who: str, now_ms: int) -> Imported:
    view = View(conn)
    plan = plans.plan_of(view, tenant, asked.carrier)
    number = offers.next_number(conn, tenant, asked.carrier)
    if not is_table_name(offers.name_of(asked.carrier, number)):
        raise BadArgument(f"carrier {asked.carrier!r}: the name is too long for versions of a deck (56 characters at most)")
    kept = offers.profile(conn, tenant, asked.carrier)
    work = _Reading()
    work.profile = asked.profile or kept or Profile()
    _read(work, view, tenant, plan, asked, content)
    if work.offer is None or work.findings.has_errors:
        return work.result()
    base_name = plan.last()
    base_version = plans.stored(conn, view, tenant, base_name) if base_name else None
    base = base_of(base_version.csv) if base_version else None
    before = columns_of(base) if base else None
    if before is not None and base_version is not None and base_version.currency != work.profile.currency:
        base, before = None, _other_currency(work, view, tenant, asked, before, base_name, base_version.currency, now_ms)
        if work.findings.has_errors:
            return work.result(base=base_name)
    scope, missing = _scope(work, asked, base, base_name, now_ms)
    if work.findings.has_errors:
        return work.result(base=base_name)
    assert scope and missing
    merged = merge(base, work.offer.rates, missing, work.valid_from_ms, now_ms)
    name = offers.name_of(asked.carrier, number)
    try:
        deck = read_deck(merged.csv, name, work.profile.currency)
    except DeckError as wrong:
        work.findings.add("deck", "error", str(wrong))
        return work.result(base=base_name)
    start_ms = max(work.valid_from_ms or now_ms, now_ms)
    changes = compare(before, deck, now_ms, start_ms, work.profile.notice_days)
    _check(work, conn, view, tenant, plan, deck, scope == "full", merged.carried, changes, now_ms)
    work.profile = msgspec.structs.replace(work.profile, scope=scope, missing=missing)
    facts = Facts(
        currency=work.profile.currency, scope=scope, missing=missing, mapping=cast(Mapping, work.profile.mapping),
        valid_from_ms=work.valid_from_ms,
        rows=work.offer.rows, codes=len(set(deck.prefixes)), carried=merged.carried, left_out=len(merged.missing), changes=changes.counts,
        late=changes.late, finding_counts=work.findings.counts,
    )  # fmt: skip
    version = Import(
        tenant=tenant, carrier=asked.carrier, number=number, deck_id=decks.version_id(merged.csv, work.profile.currency), base=base_name,
        base_id=decks.version_id(base_version.csv, base_version.currency) if base_version else "", file_name=file_name,
        file_sha256=hashlib.sha256(content).hexdigest(), facts=facts, findings=tuple(work.findings), who=who, at_ms=now_ms,
    )  # fmt: skip
    twin = next((one for one in offers.every(conn, tenant, asked.carrier) if _same(one, version)), None)
    if twin is not None:
        return work.result(version=twin, changes=changes, base=base_name, known=True)
    return work.result(version=version, changes=changes, base=base_name, csv=merged.csv)


def _same(one: Import, other: Import) -> bool:
    return (one.file_sha256, one.deck_id, one.base_id) == (other.file_sha256, other.deck_id, other.base_id)


def _read(work: _Reading, view: View, tenant: str, plan: plans.Plan, asked: ImportOptions, content: bytes) -> None:
    """The rates of the file, by the mapping that a person gave, or that was kept, or that is guessed."""
    mapping = work.profile.mapping
    if asked.sheet and mapping is not None:
        mapping = msgspec.structs.replace(mapping, sheet=asked.sheet)
    if asked.guess_again and asked.profile is None:
        mapping = None
    try:
        table = open_table(content, mapping or Mapping(columns={}, sheet=asked.sheet))
        work.reasons = tuple(("file", reason) for reason in table.reasons)
        if mapping is None:
            found = guess(table)
            mapping = msgspec.structs.replace(found.mapping, sheet=asked.sheet)
            work.reasons += found.reasons
            work.findings.take(found.findings)
        else:
            what = "the mapping that was given" if asked.profile is not None else "as it was kept from the last file"
            work.reasons += tuple((name, f"column {label!r}: {what}") for name, label in mapping.columns.items())
        work.profile = msgspec.structs.replace(work.profile, mapping=mapping)
        said = facts_outside_table(table, mapping)
        _currency(work, view, tenant, plan, asked, said)
        _valid_from(work, plan, asked, said)
        if not work.profile.currency or any(one.kind in ("decimal style", "date style") for one in work.findings):
            return
        work.offer = take(table, mapping, work.profile.currency, work.valid_from_ms, plan.zone)
        work.findings.take(work.offer.findings)
    except OfferError as wrong:
        for one in wrong.findings:
            work.findings.add(one.kind, one.level, one.what, one.do, one.row, one.column)


def _currency(work: _Reading, view: View, tenant: str, plan: plans.Plan, asked: ImportOptions, said: FileFacts) -> None:
    currency = (asked.currency or work.profile.currency or plan.currency or said.currency).upper()
    if not currency:
        what = "neither the file nor the carrier's agreement says in which currency the prices are"
        work.findings.add("currency", "error", what, "say it with --currency")
        return
    if currency not in CURRENCIES:
        work.findings.add("currency", "error", f"{currency!r} is not the code of a currency", "write three capitals such as EUR")
        return
    if said.currency and said.currency != currency and not asked.currency:
        what = f"the file says {said.currency}, and the carrier's decks are in {currency}"
        work.findings.add("currency", "error", what, "say --currency if the file is wrong")
    if plan.currency and plan.currency != currency and view.find("fx_rates", tenant, f"{currency}-{plan.currency}") is None:
        work.findings.add(
            "currency", "error", f"the deck is in {currency}, and the agreement in {plan.currency}",
            f"add a rate {currency}-{plan.currency} to fx_rates in the config file",
        )  # fmt: skip
    if not asked.currency and currency == said.currency:
        work.reasons += (("currency", f"{currency}: the file says so"),)
    work.profile = msgspec.structs.replace(work.profile, currency=currency)


def _valid_from(work: _Reading, plan: plans.Plan, asked: ImportOptions, said: FileFacts) -> None:
    text = asked.valid_from or said.valid_from
    if not text:
        return
    try:
        work.valid_from_ms = local_ms(text, plan.zone)
    except ValueError as wrong:
        raise BadArgument(str(wrong)) from None
    if not asked.valid_from:
        work.reasons += (("valid_from", f"{text}: a line above the headings says so"),)


def local_ms(text: str, zone: str) -> int:
    """The time that a person wrote, in a time zone unless it has one; a date is its midnight.

    >>> local_ms("2026-12-01", "Europe/Vienna"), local_ms("2026-12-01T06:00+00:00", "Europe/Vienna")
    (1796079600000, 1796104800000)
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date such as 2026-12-01 or 2026-12-01T06:00") from None
    return round((when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)


def _other_currency(
    work: _Reading, view: View, tenant: str, asked: ImportOptions, before: Columns, name: str, currency: str, now_ms: int
) -> Columns | None:
    """The deck before in the currency of the file, to be compared with; none of its rows can be in the version."""
    at = exchange.rate(view, tenant, currency, work.profile.currency, now_ms)
    how = f"it is compared at {at.text}" if at else f"without a rate {currency}-{work.profile.currency} it is not compared"
    is_partial = (asked.scope or work.profile.scope) == "partial"
    work.findings.add(
        "currency", "error" if is_partial else "warning",
        f"{name} is in {currency}, and the file in {work.profile.currency}: no row of it is taken over, and {how}",
        "the file has to be the whole A-Z: a code that it leaves out has no price",
    )  # fmt: skip
    return exchange.converted(before, at) if at else None


def _scope(
    work: _Reading, asked: ImportOptions, base: Base | None, base_name: str, now_ms: int
) -> tuple[Literal["", "full", "partial"], Literal["", "closed", "unchanged"]]:
    """Whether the file is the whole A-Z, and what a code means that it leaves out: as was said, else as its codes show, else asked."""
    assert work.offer is not None
    if base is None:
        return asked.scope or "full", "closed"  # there is nothing that it could leave out
    absent = missing_codes(base, work.offer.rates, now_ms)
    scope = asked.scope or work.profile.scope
    prefix = base.columns.index("prefix")
    known = len({row[prefix] for row in base.rows})
    if not scope:
        share = 1 - len(absent) / max(known, 1)
        if share < LIKELY_FULL:
            work.findings.add(
                "full or partial", "error",
                f"the file names {known - len(absent):,} of the {known:,} codes of {base_name}, so it may be a list of changes",
                "say --full or --partial; it is kept for the carrier",
            )  # fmt: skip
            return "", ""
        scope = "full"
        work.reasons += (("scope", f"full: the file names {share:.0%} of the {known:,} codes of {base_name}"),)
    if scope == "partial":
        return scope, "unchanged"
    missing = asked.missing or work.profile.missing
    if not missing and absent:
        shown = ", ".join(absent[:8]) + (f" and {len(absent) - 8:,} more" if len(absent) > 8 else "")
        work.findings.add(
            "missing codes", "error", f"the file leaves out {len(absent):,} codes of {base_name}: {shown}",
            "say --missing closed or --missing unchanged; it is kept for the carrier",
        )  # fmt: skip
        return scope, ""
    return scope, missing or "closed"


def _check(
    work: _Reading, conn: Connection, view: View, tenant: str, plan: plans.Plan, deck: Deck, full: bool, carried: int, changes: Changes, now_ms: int
) -> None:
    """What a person should see before the deck is in force."""
    assert work.offer is not None
    mapping = cast(Mapping, work.profile.mapping)
    dated = work.valid_from_ms is not None or "effective_from" in mapping.columns
    work.findings.take(checks.of_dates(deck, dated, now_ms, carried))
    work.findings.take(checks.against_master(deck, full, now_ms))
    others: dict[str, checks.Other] = {}
    for row in view.every(("carriers",), {tenant}):
        name = plans.plan_of(view, tenant, row.name).at(now_ms) if row.name != plan.name else ""
        if name and len(others) < MOST_OTHERS:
            other = plans.read(conn, view, tenant, name)
            at = exchange.rate(view, tenant, other.currency, deck.currency, now_ms) if other.currency != deck.currency else None
            if at or other.currency == deck.currency:
                others[row.name] = checks.Other(other, at.value if at else Fraction(1))
    work.findings.take(checks.against_others(deck, others, work.profile.far_factor, now_ms, plan.sells))
    for kind, count in changes.late.items():
        if count:
            needed = getattr(work.profile.notice_days, kind)
            first = next(row for row in changes.rows if row.kind == kind and row.late)
            work.findings.add(
                "notice", "warning", f"{count:,} {WORDS[kind]} come with less notice than agreed, such as {first.prefix} {first.destination}: "
                f"{max(first.notice_days, 0)} days, and {max(needed, first.needed_days)} are needed",
                "refuse the date, or accept it by activating the version",
            )  # fmt: skip


WORDS = {"new": "new codes", "increase": "increases", "decrease": "decreases", "closed": "closed codes"}
