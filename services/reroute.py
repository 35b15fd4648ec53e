"""What calls of the past would have come to by another route plan: `ringfence rerate --policy FILE`. It changes nothing and stores nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from books.runs import Spec
from core.config import RoutePlan, faults_of, plans_of
from core.numbering import country_code
from core.parts import rows_of
from rating.contracts import Terms
from rating.routes import whatif
from rating.routes.durations import Durations, observed
from rating.routes.live import Live, Standing
from rating.routes.table import Table, compile_table
from rating.routes.view import View, offers_of, view_of
from rating.routes.whatif import CALLS, COMPARED
from services import config_file, files
from services import reading as read
from services.config_file import Wrong
from services.errors import BadArgument, UnknownName
from services.installation import Installation
from services.rerate import Progress, nobody, terms_of
from services.routing import changes_with_time
from warehouse import ask, queries, slices
from warehouse.slices import Period

HOUR_MS = 3_600_000
BY = ("destination", "carrier")
PRIOR_ATTEMPTS = 30.0
"""A carrier's attempts to a country count as if so many of its own mean had been observed besides (as in `detectors.quality`)."""

FACTS = ("account", "carrier", "b_number", "a_number", "lrn", "setup_ms", "answer_ms", "end_ms", "duration_ms")


@dataclass(frozen=True)
class Rerouted:
    """`sums`: by destination, and by the carrier of the plan (`rating.routes.whatif.together`). `plans`: those of the file. `left_out`: calls that
    are not compared, by reason."""

    spec: Spec
    plans: tuple[str, ...]
    calls: int
    left_out: Mapping[str, int]
    sums: Mapping[str, pl.DataFrame]

    @property
    def totals(self) -> list[dict[str, Any]]:
        """The sums of all calls, by currency."""
        return self.sums["destination"].group_by("currency", maintain_order=True).agg(pl.exclude("destination", "was_asr", "asr").sum()).to_dicts()


def plans_in(path: Path, tenant: str, terms: Terms) -> tuple[RoutePlan, ...]:
    """The route plans of a file in the config's language. Raises `BadArgument` with every fault and its place."""
    try:
        text = files.read(path, files.CONFIG_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadArgument(f"--policy {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    gateways = [trunk for trunk in terms.rows["trunks"].values() if trunk.tenant == tenant]
    try:
        contents, faults = config_file.read(text, tenant, gateways)
    except Wrong as wrong:
        raise BadArgument(_words(path, wrong.faults)) from None
    own = [msgspec.structs.replace(plan, tenant=tenant) for plan in contents.config.route_plans]
    known = terms.with_rows("route_plans", own)
    faults += [f"tenant {other!r}: the calls are those of {tenant}" for other in contents.tenants if other != tenant]
    kinds = dict.fromkeys(kind for kind, _ in rows_of(contents.config) if kind != "route_plans")
    faults += [f"{kind}: only route_plans can be tried out here" for kind in kinds]
    faults += ["decks: give another price list as --deck NAME=FILE"] if contents.decks else []
    for at, plan in enumerate(own):
        place = contents.places["route_plans", at]
        faults += [f"{place}.{name}: {fault}" for name, fault in faults_of("route_plans", plan, known.find)]
    if not own and not faults:
        faults = ["it has no route_plans: write them as in the config file"]
    if faults:
        raise BadArgument(_words(path, faults))
    return tuple(own)


def _words(path: Path, faults: Iterable[str]) -> str:
    return "\n".join(f"--policy {path}: {fault}" for fault in faults)


def compute(installation: Installation, spec: Spec, policy: Path, plan: str = "", progress: Progress = nobody) -> Rerouted:
    """The calls of a period (of accounts whose route plan the file changes; with `plan` all of them by that one) as they were routed, and as the
    plans of the file would have. Raises `BadArgument`, `UnknownName`."""
    before = terms_of(installation, spec)
    plans = plans_in(policy, spec.tenant, before)
    terms = before.with_rows("route_plans", plans)
    if plan and terms.find("route_plans", spec.tenant, plan) is None:
        raise UnknownName(f"There is no route plan {plan!r}, neither in {policy} nor in config version {spec.config_version}.")
    accounts = _accounts(terms, spec, plan, {one.name for one in plans})
    if not accounts:
        names = ", ".join(one.name for one in plans)
        raise BadArgument(f"--policy {policy}: no account of {spec.tenant} is routed by {names}: say --plan NAME to route all of them by one plan")
    period = Period(spec.from_ms, spec.to_ms, spec.tenant, spec.account, spec.carrier)
    left_out: Counter[str] = Counter()
    parts: dict[str, list[pl.DataFrame]] = {by: [] for by in BY}
    calls = 0
    with read.warehouse(installation) as client:
        live = standings(ask(client, queries.answers(spec.from_ms, spec.to_ms, spec.tenant)))
        rows = ask(client, queries.durations(spec.from_ms, spec.tenant))
        durations = observed((row["digits"], row["talk_ms"], row["attempts"]) for row in rows)
        chooser = _Chooser(terms, spec.tenant, plan, live, durations)
        every = slices.slices(ask(client, slices.bands(period)))
        for done, one in enumerate(every):
            progress(done, len(every))
            facts = slices.calls(client, one, period, FACTS)
            here = facts.filter(pl.col("account").is_in(accounts))
            calls += here.height
            left_out["their accounts have other route plans"] += facts.height - here.height
            for found in chooser.each(here):
                counts = found.group_by("status").len().rows()
                left_out.update({status: n for status, n in counts if status not in ("compared", "no route")})
                for by in BY:
                    parts[by].append(whatif.sums(found, by))
        progress(len(every), len(every))
    sums = {by: whatif.together(some or [whatif.sums(pl.DataFrame(schema=COMPARED), by)], by) for by, some in parts.items()}
    return Rerouted(spec, tuple(one.name for one in plans), calls, +left_out, sums)


def _accounts(terms: Terms, spec: Spec, plan: str, changed: set[str]) -> list[str]:
    """The accounts that the file is about."""
    rows = (row for row in terms.rows["accounts"].values() if row.tenant == spec.tenant and spec.account in ("", row.name))
    if plan:
        return [row.name for row in rows]
    touched: dict[str, bool] = {}

    def is_touched(name: str) -> bool:
        if name not in touched:
            first = terms.find("route_plans", spec.tenant, name)
            touched[name] = first is not None and any(one.name in changed for one in plans_of(first, terms.find))
        return touched[name]

    return [row.name for row in rows if row.route_plan and is_touched(row.route_plan)]


def standings(rows: Iterable[Mapping[str, Any]]) -> Live:
    """How carriers answered in a period: the ASR of each at each country (few attempts are drawn to its own mean), which is its score too.

    >>> live = standings([{"carrier": "blue", "digits": "43664", "attempts": 70, "answers": 35}, {"carrier": "blue", "digits": "44", "attempts": 30,
    ...     "answers": 30}])
    >>> live.standing("blue", "431").asr, live.standing("blue", "49").asr
    (0.545, 0.65)
    """
    counts: dict[tuple[str, str], np.ndarray[Any, Any]] = {}
    for row in rows:
        for code in (country_code(row["digits"]), ""):
            counts[row["carrier"], code] = counts.get((row["carrier"], code), np.zeros(2)) + np.asarray((row["attempts"], row["answers"]))
    found = {}
    for (carrier, code), (attempts, answered) in counts.items():
        mean = counts[carrier, ""][1] / counts[carrier, ""][0]
        asr = round(float((answered + PRIOR_ATTEMPTS * mean) / (attempts + PRIOR_ATTEMPTS)), 6)
        found[carrier, code] = Standing(score=asr, asr=asr, attempts=float(attempts))
    return Live(found)


MOST_TABLES = 64
"""Tables in memory; calls come nearly in the order of time, so an old one is seldom asked for again."""


class _Chooser:
    """The table of each view, made once for as long as nothing in it changes."""

    def __init__(self, terms: Terms, tenant: str, plan: str, live: Live, durations: Durations) -> None:
        self.terms, self.tenant, self.plan, self.live, self.durations = terms, tenant, plan, live, durations
        self.tables: dict[object, Table] = {}

    def each(self, calls: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Rows of `COMPARED`, account by account; where windows or dates change routes, hour by hour."""
        facts = calls.with_columns(
            pl.coalesce("answer_ms", "end_ms").alias("at_ms"),
            pl.col("duration_ms").fill_null(0).clip(0).alias("talk_ms"),
            pl.col("answer_ms").is_not_null().alias("answered"),
        )
        for (account,), own in facts.partition_by("account", as_dict=True).items():
            plan = self.plan or self.terms.find("accounts", self.tenant, str(account)).route_plan
            step_ms = HOUR_MS if changes_with_time(self.terms, self.tenant, plan) else 2**62
            for some in own.with_columns((pl.col("at_ms") // step_ms).alias("step")).partition_by("step"):
                at_ms = int(some["at_ms"][0]) // HOUR_MS * HOUR_MS
                view = view_of(self.terms, self.tenant, str(account), at_ms, self.plan)
                assert isinstance(view, View), view  # the plan is there
                offers = offers_of(self.terms, view, some["carrier"].unique().to_list())
                yield whatif.what_if(self._table(view), some.select(CALLS.names()), offers, self.live)

    def _table(self, view: View) -> Table:
        offers = [view.sell, *(entry.offer for entry in view.entries)]
        moves = any(offer.deck.is_dated or offer.deck.clock_s is not None for offer in offers if offer)
        made_of = (
            view.stages,
            tuple((entry.gateway, entry.why_not) for entry in view.entries),
            tuple((id(offer.deck), offer.rules) if offer else None for offer in offers),
            view.at_ms // HOUR_MS if moves else 0,
        )
        if made_of not in self.tables:
            while len(self.tables) >= MOST_TABLES:
                del self.tables[next(iter(self.tables))]
            self.tables[made_of] = compile_table(view, self.live, self.durations)
        return self.tables[made_of]
