"""What calls of the past would have cost, and, if a person says so, what they do cost: rating runs.

`compute` prices the stored calls of a period again and stores nothing but what that comes to. `count` prices them once more, writes the charges under
the run's number, where no view counts them, holds them against what the person saw, and then makes them count with one row. Effects in their order,
and what a crash between two of them leaves:

    1. the books say `counting`                   nothing has changed; count it again
    2. the charges of the run, slice by slice     rows that count nowhere; the same rows again collapse with them
    3. the row that makes them count              they count, all at once; the books still say `counting`: count it again, and it goes on from here
    4. of a recycling: its records become rated   some still say `unrated`, or `reject`: as above
    5. the books say `counts`
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from assurance.cycles import Period as Cycle
from assurance.cycles import period_of
from books import Connection, configs, decks, open_books, runs
from books.runs import Kind, Line, Run, RunTotals, Spec, Unpriced
from core.config import path, split_path
from core.schemas import CHARGES, JUDGED, RATED_DISPOSITION, REJECT, UNRATED, empty
from rating import packages
from rating.contracts import Charged, Terms
from rating.decks import DeckError, read_deck
from rating.difference import ALL, COMPARED, DIMENSIONS, Difference, difference, of_same_calls
from rating.rerate import AMOUNTS, FACTS, OF_ATTEMPT, Rerater
from services import files, in_force, rejects
from services import reading as read
from services.errors import BadArgument, ServiceError, UnknownName
from services.installation import Installation, books, tenant_of
from warehouse import Warehouse, ask, handing, mending, slices
from warehouse import runs as stored_runs
from warehouse.slices import Period, Slice

MOST_LINES = 500
"""Of a dimension, the largest changes first: what the books keep of a what-if."""

MOST_REASONS = 100

SETTLED_MS = 4 * 3_600_000
"""Calls of a period that ended so long ago have ended too, but for a few."""

ARRIVAL_MS = 30 * 86_400_000
"""How long before its record arrived a call of rejects may have been."""

Progress = Callable[[int, int], None]
"""Slices done, and slices in all."""


def nobody(done: int, all_of: int) -> None:
    """Shows no progress."""


class Changed(ServiceError):
    """What a run would change is not what its what-if said: it will never count."""


class NotNow(ServiceError):
    """The state of a run does not allow what was asked for."""


# --- what is wanted -----------------------------------------------------------------------------------------------------------------


def spec_of(
    conn: Connection, from_ms: int, to_ms: int, *, tenant: str = "", account: str = "", carrier: str = "", reason: str = "", version: int = 0,
    price_lists: Mapping[str, str] | None = None, who: str = "", now_ms: int = 0, zone: str = "UTC",
    agreements: tuple[str, ...] = (),
) -> Spec:  # fmt: skip
    """The calls and the terms of a run. `version`: of the config, 0 = that in force. `price_lists`: name of a deck -> a CSV file in our own columns,
    or the id of a version that the books have; it prices in the place of the deck of that name. Raises `ServiceError`.
    """
    if from_ms >= to_ms:
        raise BadArgument("--to must be after --from: calls are taken from --from to before --to")
    newest = configs.latest(conn)
    if not newest:
        raise UnknownName("There is no config version yet: `ringfence config publish` makes one.")
    version = version or newest
    if version > newest:
        raise UnknownName(f"There is no config version {version}; the newest is {newest}.")
    if tenant or account or carrier or price_lists:
        tenant = tenant_of(conn, tenant)
    view = configs.load(conn, version).decks if price_lists else {}
    ids = {}
    for name, where in (price_lists or {}).items():
        key = next((key for key in (path(tenant, name), path("", name)) if key in view), None)
        if key is None:
            there = sorted(split_path(one)[1] for one in view if split_path(one)[0] in ("", tenant))
            raise UnknownName(f"Config version {version} has no deck {name!r} for {tenant}; it has: {', '.join(there) or 'none'}.")
        ids[key] = _price_list(conn, name, where, decks.content(conn, view[key]).currency, who, now_ms)
    return Spec(
        from_ms=from_ms, to_ms=to_ms, tenant=tenant, account=account, carrier=carrier, reason=reason, config_version=version, decks=ids, zone=zone,
        agreements=agreements,
    )  # fmt: skip


def zone_of(conn: Connection, tenant: str, name: str) -> str:
    """The time zone of that name, or of the agreement of that name. Raises `BadArgument`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    else:
        return name
    tenant = tenant_of(conn, tenant)
    found = [one.time_zone for one in configs.load(conn, configs.latest(conn)).agreements if (one.tenant, one.name) == (tenant, name)]
    if not found:
        raise BadArgument(f"--zone {name}: neither a time zone, such as Europe/Vienna, nor an agreement of {tenant}")
    return found[0]


def _price_list(conn: Connection, name: str, where: str, currency: str, who: str, now_ms: int) -> str:
    """The id of a deck version in the books, which a file becomes."""
    if re.fullmatch(r"[0-9a-f]{64}", where):
        found = decks.find(conn, where)
        if found is None:
            raise UnknownName(f"The books have no deck version {where}.")
        if found.currency != currency:
            raise BadArgument(f"deck version {where[:12]} is in {found.currency} and deck {name!r} in {currency}: they must be the same")
        return where
    try:
        csv = files.read(Path(where), files.DECK_BYTES)
        read_deck(csv, name, currency)
    except OSError as error:
        raise BadArgument(f"--deck {name}={where}: {error.strerror or error}") from None
    except DeckError as error:
        raise BadArgument(f"{where}: {error}") from None
    return decks.add(conn, csv, currency, who, now_ms)


def terms_of(installation: Installation, spec: Spec) -> Terms:
    """The terms of a run: those of its config version, with its own decks."""
    engine = open_books(installation.books_dsn)
    try:
        terms = in_force.from_books(engine)(spec.config_version)
    finally:
        engine.dispose()
    if not spec.decks:
        return terms
    price_lists = list(terms.decks)
    with books(installation) as conn:
        for key, deck_id in spec.decks.items():
            stored = decks.content(conn, deck_id)
            price_lists[terms.deck_places[split_path(key)]] = read_deck(stored.csv, split_path(key)[1], stored.currency)
    return replace(terms, decks=tuple(price_lists))


# --- pricing -------------------------------------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A slice, priced. `before`: the charges of the same calls that count now."""

    before: pl.DataFrame
    after: pl.DataFrame
    unpriced: pl.DataFrame
    of_rejects: rejects.Mended | None = None


def _period(spec: Spec) -> Period:
    return Period(spec.from_ms, spec.to_ms, spec.tenant, spec.account, spec.carrier)


def _cut(client: Warehouse, period: Period) -> list[Slice]:
    return slices.slices(ask(client, slices.bands(period)))


class _Facts(NamedTuple):
    """Calls of a slice, with all that it takes to price them again."""

    calls: pl.DataFrame
    attempts: pl.DataFrame
    amounts: pl.DataFrame | None


def _facts(client: Warehouse, one: Slice, period: Period, rater: Rerater, calls: pl.DataFrame) -> _Facts:
    several = bool(calls.select((pl.col("failed") + pl.col("legs")).max()).item())
    attempts = slices.attempts(client, one, period, calls, OF_ATTEMPT) if several else pl.DataFrame()
    amounts = None
    if rater.needs_amounts(calls):
        amounts = slices.amounts(client, one, period, calls, [name for name in AMOUNTS if not name.startswith("record_")])
    return _Facts(calls, attempts, amounts)


def _read(client: Warehouse, kind: Kind, spec: Spec, rater: Rerater, one: Slice) -> tuple[_Facts, pl.DataFrame] | None:
    """What a slice has to price, and the charges that count now."""
    period = _period(spec)
    calls = slices.calls(client, one, period, FACTS)
    if not calls.height:
        return None
    if spec.agreements:
        calls = _under(calls, rater.terms, {(spec.tenant, name) for name in spec.agreements})
    before = slices.charges(client, one, period, COMPARED)
    if kind == "recycle":
        calls = calls.join(before, on=["partition", "offset"], how="anti")
        # What a run made of rejects, and was taken back, waits for such a run.
        rejected = slices.ended_by(client, one, period, ("partition", "offset"), REJECT)
        calls = calls.join(rejected, left_on=["record_partition", "record_offset"], right_on=["partition", "offset"], how="anti")
        if spec.reason:
            ends = slices.ended_by(client, one, period, ("call_key", "reason"), UNRATED)
            says = pl.col("reason").str.to_lowercase().str.contains(spec.reason.lower(), literal=True)
            calls = calls.join(ends.filter(says), on="call_key", how="semi")
    if not calls.height:
        return None
    return _facts(client, one, period, rater, calls), before


def _covered(client: Warehouse, spec: Spec, rater: Rerater) -> pl.DataFrame:
    """What packages make of the charges of a run (`rating.packages.COVERED`). They cover whole cycles, and all calls of a party: so all of the
    cycles that the period touches are priced here, whichever of their calls the run is about."""
    deals = {key: deal for key, deal in packages.deals_of(rater.terms).items() if not spec.tenant or key[0] == spec.tenant}
    if not deals:
        return pl.DataFrame(schema=packages.COVERED)
    agreements = [rater.terms.rows["agreements"][key] for key in deals]
    from_ms = min(period_of(one, spec.from_ms).from_ms for one in agreements)
    to_ms = max(period_of(one, spec.to_ms - 1).until_ms for one in agreements)
    period = Period(from_ms, to_ms, spec.tenant)
    began, found = _cycles(rater.terms), []
    for one in _cut(client, period):
        calls = _under(slices.calls(client, one, period, FACTS), rater.terms, deals)
        if calls.height:
            charges = rater(*_facts(client, one, period, rater, calls)).charges
            found.append(packages.usage_of(charges, calls, deals, began))
    if not found:
        return pl.DataFrame(schema=packages.COVERED)
    return packages.covered(pl.concat(found), lambda tenant, name: deals[tenant, name])


def _under(calls: pl.DataFrame, terms: Terms, agreements: Collection[tuple[str, str]]) -> pl.DataFrame:
    """Those calls that may be sold or bought by one of these agreements, (tenant, name) each."""

    def agreed(tenant: str, charged: Iterable[Charged]) -> bool:
        return any((tenant, one.agreement) in agreements for one in charged)

    tenant = str(calls["tenant"][0]) if calls.height else ""
    accounts = [name for name in calls["account"].unique() if agreed(tenant, terms.sold(tenant, name))]
    carriers = [name for name in calls["carrier"].unique() if agreed(tenant, (terms.bought(tenant, name),))]
    wanted = pl.col("account").is_in(accounts) | pl.col("carrier").is_in(carriers)
    if any(terms.rows["agreements"][key].role == "buy" for key in agreements):  # an attempt may have gone to such a carrier
        wanted |= (pl.col("failed") > 0) | (pl.col("legs") > 0)
    return calls.filter(wanted)


def _cycles(terms: Terms) -> Callable[[str, str, int], int]:
    """When the cycle of (tenant, agreement) began that a moment is in."""
    known: dict[tuple[str, str], list[Cycle]] = {}

    def began(tenant: str, name: str, at_ms: int) -> int:
        cycles = known.setdefault((tenant, name), [])
        for cycle in cycles:
            if cycle.from_ms <= at_ms < cycle.until_ms:
                return cycle.from_ms
        cycles.append(period_of(terms.rows["agreements"][tenant, name], at_ms))
        return cycles[-1].from_ms

    return began


def _priced(client: Warehouse, kind: Kind, spec: Spec, rater: Rerater, progress: Progress) -> Iterator[Piece]:
    """Slice by slice: while one is priced the next one is read, so two are in memory."""
    if kind == "rejects":
        made = rejects.mended(client, spec, rater.terms, rater.run)
        yield Piece(empty(CHARGES).select(COMPARED), made.charges, made.unpriced, made)
        return
    every = _cut(client, _period(spec))
    covered = _covered(client, spec, rater)
    with ThreadPoolExecutor(1, "reader") as reader:
        coming = [reader.submit(_read, client, kind, spec, rater, one) for one in every[:1]]
        for done in range(len(every)):
            progress(done, len(every))
            found = coming.pop().result()
            if done + 1 < len(every):
                coming.append(reader.submit(_read, client, kind, spec, rater, every[done + 1]))
            if found is None:
                continue
            facts, before = found
            charges, unpriced = rater(*facts)
            if covered.height:
                here = covered.filter(pl.col("partition") == every[done].partition, pl.col("offset").is_between(*every[done][2:], closed="left"))
                charges = packages.applied(charges, here)
            yield Piece(of_same_calls(before.select(COMPARED), charges), charges, unpriced)
        progress(len(every), len(every))


def _ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """While the caller compares or writes a piece, the next one is priced: one more is in memory."""
    with ThreadPoolExecutor(1, "pricer") as pricer:
        coming = pricer.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = pricer.submit(next, pieces, None)
            yield piece


@dataclass
class _Tally:
    """What all slices come to."""

    calls: int = 0
    charges: int = 0
    before: int = 0
    after: int = 0
    change: Difference = field(default_factory=Difference)
    reasons: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)  # dispositions of rejects that can be read now
    examples: dict[str, str] = field(default_factory=dict)

    def take(self, piece: Piece, *, compared: bool = True) -> None:
        self.calls += piece.after["offset"].n_unique()
        self.charges += piece.after.height
        self.before = (self.before + _hash(piece.before, COMPARED)) % 2**64
        self.after = (self.after + _hash(piece.after, [name for name in CHARGES if name != "run"])) % 2**64
        if compared:
            self.change.add(difference(piece.before, piece.after))
        if piece.of_rejects is not None:
            self.read.update(piece.of_rejects.records["disposition"].to_list())
        for account, number, reason in piece.unpriced.select("account", "b_number", "reason").iter_rows():
            self.reasons[reason] += 1
            self.examples.setdefault(reason, f"{account} to {number}" if number else account)

    def found(self) -> RunTotals:
        lines, notes = [], []
        if self.read:
            notes.append("rejects that can be read now: " + ", ".join(f"{count:,} {what}" for what, count in sorted(self.read.items())))
        for by in (ALL, *DIMENSIONS):
            rows = [row for row in self.change.of(by) if by == ALL or row[4]]
            if len(rows) > MOST_LINES:
                notes.append(f"{len(rows) - MOST_LINES:,} more lines by {by}, each with a smaller change, are not kept")
            for key, charges, before, after, causes in rows[:MOST_LINES]:
                told = tuple((cause, count, str(nanos)) for cause, (count, nanos) in causes.items())
                lines.append(Line(by, key.name, key.role, key.level, key.currency, charges, str(before), str(after), told))
        if len(self.reasons) > MOST_REASONS:
            notes.append(f"{len(self.reasons) - MOST_REASONS:,} more reasons why calls cannot be priced are not kept")
        unpriced = tuple(Unpriced(reason, calls, self.examples[reason]) for reason, calls in self.reasons.most_common(MOST_REASONS))
        return RunTotals(
            calls=self.calls, charges=self.charges, before=f"{self.before:016x}", after=f"{self.after:016x}", lines=tuple(lines), unpriced=unpriced,
            notes=tuple(notes),
        )  # fmt: skip


def _hash(frame: pl.DataFrame, columns: list[str] | tuple[str, ...]) -> int:
    """Of the rows, in any order and any cut."""
    return int(frame.select(columns).hash_rows(seed=1).sum()) if frame.height else 0


# --- what can be asked for ---------------------------------------------------------------------------------------------------------------


class WhatIf(NamedTuple):
    """What a run would come to, and the highest number of a run that the warehouse knows."""

    found: RunTotals
    above: int


def compute(installation: Installation, kind: Kind, spec: Spec, who: str, why: str, now_ms: int, progress: Progress = nobody) -> Run:
    """A what-if: prices the calls again, compares, and notes what that comes to as a rating run that does not count."""
    return noted(installation, kind, spec, what_if(installation, kind, spec, progress), who, why, now_ms)


def what_if(installation: Installation, kind: Kind, spec: Spec, progress: Progress = nobody) -> WhatIf:
    """Prices the calls again and compares; nothing is stored."""
    rater, tally = Rerater(terms_of(installation, spec), 0), _Tally()
    with read.warehouse(installation) as client:
        for piece in _ahead(_priced(client, kind, spec, rater, progress)):
            tally.take(piece)
        above = int(ask(client, stored_runs.highest())[0]["run"])
    return WhatIf(tally.found(), above)


def noted(installation: Installation, kind: Kind, spec: Spec, what: WhatIf, who: str, why: str, now_ms: int) -> Run:
    """Notes a what-if as a rating run that does not count."""
    found = what.found
    if spec.to_ms > now_ms - SETTLED_MS:
        words = "calls of this period may still be going on: each that ends changes what this run comes to, and then it cannot be counted"
        found = msgspec.structs.replace(found, notes=(*found.notes, words))
    with books(installation) as conn:
        number = runs.add(conn, kind, spec, found, what.above, who, why, now_ms)
    return run_of(installation, number)


def count(
    installation: Installation, number: int, who: str, why: str, now_ms: int, progress: Progress = nobody,
    done: Callable[[str], None] = lambda _: None,
) -> Run:  # fmt: skip
    """Makes a run count. Again is harmless, and goes on where a crash has cut it off. `done` hears of each effect.

    Raises `Changed` where the run would change something else than its what-if said: nothing counts then, and never will under this number.
    """
    if not why.strip():
        raise BadArgument("say --why: it goes into the audit")
    run = run_of(installation, number)
    if run.state in ("void", "withdrawn"):
        raise NotNow(f"Run {number} is {run.state} ({run.state_why}): price the calls again, and count that run.")
    if run.state == "counts":
        return run
    if later := _later_run(installation, run):  # it wins wherever both price a call: this one would change only what that one left
        raise NotNow(
            f"Run {later} was made after run {number} and counts for calls of the same days: price the calls again, and count that run."
        )
    _become(installation, run, "counting", who, why, now_ms)
    done("counting")
    with read.warehouse(installation) as client:
        stands = number in {row["run"] for row in ask(client, stored_runs.counting())}
        with handing.inserting(installation.warehouse_dsn) as insert:
            if not stands:
                tally = _Tally()
                for piece in _ahead(_priced(client, run.kind, run.spec, Rerater(terms_of(installation, run.spec), number), progress)):
                    if piece.after.height:
                        insert("charges", piece.after.to_arrow())
                    tally.take(piece, compared=False)
                    done("charges")
                _same(installation, run, tally.found(), who, now_ms)
                insert("rating_runs", stored_runs.row(number, True, now_ms, who, why))
                done("counts")
            if run.kind == "recycle":
                for rows in _mended(client, run):
                    insert("records", rows.to_arrow())
                    done("records")
            if run.kind == "rejects":
                made = rejects.mended(client, run.spec, terms_of(installation, run.spec), number)
                for table, rows in (("attempts", made.attempts), ("calls", made.calls), ("records", made.records)):
                    if rows.height:
                        insert(table, rows.to_arrow())
                    done(table)
    _become(installation, run, "counts", who, why, now_ms)
    return run_of(installation, number)


def withdraw(installation: Installation, number: int, who: str, why: str, now_ms: int) -> Run:
    """Takes back a run that counts: what counted before it counts again, at once. Effects in their order: the row that makes it count no more; of a
    recycling, its records become what they were before (a crash before that leaves them `rated`, without charges: withdraw it again); the books.
    """
    if not why.strip():
        raise BadArgument("say --why: it goes into the audit")
    run = run_of(installation, number)
    if run.state not in ("counts", "counting", "withdrawn"):
        raise NotNow(f"Run {number} is {run.state}: there is nothing to take back.")
    if run.kind != "rerate" and (later := _later_run(installation, run)):
        raise NotNow(f"Run {later} was made after run {number} and counts for calls of the same days: withdraw that one first.")
    with read.warehouse(installation) as client, handing.inserting(installation.warehouse_dsn) as insert:
        insert("rating_runs", stored_runs.row(number, False, max(now_ms, run.state_at_ms + 1), who, why))
        if run.kind != "rerate":
            before = mending.undone(client, _begins(run))
            if before.height:
                insert("records", before.to_arrow())
    _become(installation, run, "withdrawn", who, why, now_ms)
    return run_of(installation, number)


def run_of(installation: Installation, number: int) -> Run:
    """A run as the books have it. Raises `UnknownName`."""
    with books(installation) as conn:
        found = runs.find(conn, number)
    if found is None:
        raise UnknownName(f"There is no rating run {number}: `ringfence runs list` names them.")
    return found


def every(installation: Installation) -> list[Run]:
    """All runs, the newest first."""
    with books(installation) as conn:
        return runs.every(conn)


def _become(installation: Installation, run: Run, state: runs.State, who: str, why: str, now_ms: int) -> None:
    with books(installation) as conn:
        runs.become(conn, run.run, state, who, why, now_ms)


def _later_run(installation: Installation, run: Run) -> int:
    """The number of a run above this one that counts for calls of the same days; 0 = there is none."""
    for other in every(installation):
        one, own = other.spec, run.spec
        meets = one.from_ms < own.to_ms and own.from_ms < one.to_ms and (not one.tenant or not own.tenant or one.tenant == own.tenant)
        # Rejects are chosen by their arrival, which may be days behind their calls.
        meets = meets or (run.kind == "rejects" and own.from_ms - one.to_ms < ARRIVAL_MS and (one.tenant in ("", own.tenant) or not own.tenant))
        if other.run > run.run and other.state in ("counts", "counting") and meets:
            return other.run
    return 0


def _same(installation: Installation, run: Run, now: RunTotals, who: str, now_ms: int) -> None:
    """Whether a run comes to what its what-if said."""
    was = run.found
    if (now.before, now.after) == (was.before, was.after):
        return
    what = []
    if now.calls != was.calls:
        what.append(f"{now.calls:,} calls instead of {was.calls:,}")
    if now.after != was.after:
        what.append("other charges: calls have ended or were corrected since, or this release prices otherwise")
    if now.before != was.before:
        what.append("other charges that count now: a correction, or another run")
    words = "; ".join(what)
    _become(installation, run, "void", who, words, now_ms)
    advice = "Nothing of it counts, and never will: price the calls again, look, and count that run."
    raise Changed(f"Run {run.run} is not what you saw ({words}). {advice}")


def _begins(run: Run) -> str:
    """How the reason of a record begins that a run has mended; what follows is the reason before it."""
    return rejects.begins(run.run) if run.kind == "rejects" else f"priced by rating run {run.run}; was: "


def _mended(client: Warehouse, run: Run) -> Iterator[pl.DataFrame]:
    """The records that ended the calls of a recycling, as rated: each keeps its offset, and is its next revision."""
    period = _period(run.spec)
    for one in _cut(client, period):
        charged = slices.charges(client, one, period, ("call_key",))
        mine = charged.filter(pl.col("run") == run.run)
        if not mine.height:
            continue
        ends = slices.ended_by(client, one, period, JUDGED.names(), UNRATED).join(mine, on="call_key", how="semi")
        if ends.height:
            rated = {"disposition": pl.lit(RATED_DISPOSITION), "reason": pl.format("{}{}", pl.lit(_begins(run)), "reason")}
            yield ends.with_columns(**rated, revision=pl.col("revision") + 1).cast(pl.Schema([*JUDGED.items(), ("revision", pl.Int32())]))

