"""What controls look at in the warehouse, read in pieces of bounded size: calls and charges slice by slice, records and hours day by day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from assurance import verify
from assurance.controls import by_call, sequence
from assurance.controls.protocol import SHOWN, moment
from rating.contracts import Terms
from services.errors import ServiceError
from services.installation import Installation
from services.reading import warehouse
from warehouse import Warehouse, WarehouseError, ask, control_queries, slices
from warehouse.retention import DAY_MS
from warehouse.rows import frame
from warehouse.slices import Period

Frames = dict[str, pl.DataFrame]
MOST_TWINS = 2_000
"""Calls that are there twice, of those that are named; what is beyond it is found again when these are mended."""

OF_CALLS = frozenset({*by_call.GROUPS, "looked", "charges", "views", "verified", "duplicates", "suspects"})
NAMES = OF_CALLS | {"records", "hours", "gaps", "corrected"}
"""Frames that are made of the warehouse."""

RECORDS = pl.Schema({"switch": pl.String, "event": pl.String, "disposition": pl.String, "reason": pl.String, "whose": pl.String,
    "records": pl.Int64, "oldest_ms": pl.Int64, "talk_ms": pl.Int64})
HOURS = pl.Schema({"switch": pl.String, "ingress_trunk": pl.String, "hour": pl.Int64, "calls": pl.Int64})
GAPS = pl.Schema({"switch": pl.String, "boot_id": pl.String, "first": pl.Int64, "last": pl.Int64, "missing": pl.Int64, "after_ms": pl.Int64})


def read(
    installation: Installation, tenant: str, period: tuple[int, int], needs: Iterable[str], terms_of: Callable[[int], Terms], now_ms: int
) -> tuple[Frames, dict[str, str]]:
    """The frames that are needed, and why others could not be had."""
    wanted = NAMES.intersection(needs)
    found: Frames = {}
    absent: dict[str, str] = {}
    questions: dict[str, Callable[[Warehouse], pl.DataFrame]] = {
        "records": lambda client: _by_day(client, "records", tenant, period, RECORDS),
        "hours": lambda client: _by_day(client, "calls", tenant, period, HOURS),
        "gaps": lambda client: gaps(client, tenant, period, now_ms),
        "corrected": lambda client: frame(client, control_queries.corrected(tenant, *period)),
    }  # fmt: skip
    try:
        with warehouse(installation) as client:
            for name in sorted(wanted & questions.keys()):
                try:
                    found[name] = questions[name](client)
                except WarehouseError as wrong:
                    absent[name] = str(wrong)
            if wanted & OF_CALLS:
                found |= _of_calls(client, tenant, period, wanted & OF_CALLS, terms_of)
    except (WarehouseError, ServiceError) as wrong:
        absent |= {name: str(wrong) for name in wanted - found.keys() - absent.keys()}
    return found, absent


def _by_day(client: Warehouse, table: str, tenant: str, period: tuple[int, int], schema: pl.Schema) -> pl.DataFrame:
    """Records that we learned of in the period; or calls by the hour of their end, of the period and the weeks before it, whenever they came."""
    from_ms, to_ms = period
    if table == "calls":
        from_ms, to_ms = from_ms - control_queries.WEEKS_BEFORE * 7 * DAY_MS, 2**62
    question = control_queries.records if table == "records" else control_queries.hours
    parts = [pl.DataFrame(schema=schema)]
    for day in ask(client, control_queries.days(table, tenant, from_ms)):
        if day["from_ms"] < to_ms:
            parts.append(frame(client, question(tenant, max(day["from_ms"], from_ms), min(day["to_ms"], to_ms))).select(*schema).cast(schema))
    return pl.concat(parts)


def gaps(client: Warehouse, tenant: str, period: tuple[int, int], now_ms: int) -> pl.DataFrame:
    """Gaps of which we learned in the period. What is missing inside the first bands is named by number, of the others it is counted."""
    bands = ask(client, control_queries.sequence(tenant, *period))
    firsts: dict[tuple[str, str], int] = {}
    for row in bands:
        boot = row["switch"], row["boot_id"]
        firsts[boot] = min(row["first"], firsts.get(boot, row["first"]))
    # Before a number 1 there is none: only boots that are older than the period are looked for in all that is kept.
    before = ask(client, control_queries.earlier_numbers(tenant, *period)) if any(first > 1 for first in firsts.values()) else []
    earlier = {(row["switch"], row["boot_id"]): (row["last"], row["to_ms"]) for row in before}
    (kept,) = ask(client, control_queries.oldest_kept_days())
    whole_since_ms = now_ms - (kept["days"] - 1) * DAY_MS if kept["days"] else 0
    found = sequence.between(bands, earlier, whole_since_ms)
    thin = [row for row in bands if row["have"] < row["last"] - row["first"] + 1]
    for place, row in enumerate(thin):
        boot = row["switch"], row["boot_id"]
        if place < SHOWN:
            numbers = ask(client, control_queries.numbers(*boot, row["band"], period[0] - DAY_MS))
            found += sequence.inside(*boot, [(one["number"], one["learned_ms"]) for one in numbers])
        else:
            missing = row["last"] - row["first"] + 1 - row["have"]
            found.append(sequence.Gap(*boot, row["first"], row["last"], missing, row["to_ms"]))
    return pl.DataFrame([gap for gap in found if period[0] <= gap.after_ms < period[1]], GAPS, orient="row")


def _of_calls(client: Warehouse, tenant: str, period: tuple[int, int], wanted: frozenset[str], terms_of: Callable[[int], Terms]) -> Frames:
    of = Period(*period, tenant)
    cut = slices.slices(ask(client, slices.bands(of)))
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in OF_CALLS | {"pairs"}}

    def facts(one: slices.Slice) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        calls = slices.calls(client, one, of, by_call.FACTS)
        charges = slices.charges(client, one, of, by_call.CHARGES)
        view = frame(client, control_queries.by_the_view(one, period[0] - DAY_MS)) if "views" in wanted else pl.DataFrame()
        return calls, charges, view

    with ThreadPoolExecutor(1) as reader:  # the engine reads the next slice while this one is looked at
        ahead = [reader.submit(facts, one) for one in cut[:1]]
        for place in range(len(cut)):
            calls, charges, view = ahead.pop().result()
            ahead += [reader.submit(facts, one) for one in cut[place + 1 : place + 2]]
            _look(calls, charges, view, tenant, wanted, terms_of, parts)
    return _together(client, tenant, period, parts, wanted)


def _look(
    calls: pl.DataFrame, charges: pl.DataFrame, view: pl.DataFrame, tenant: str, wanted: frozenset[str], terms_of: Callable[[int], Terms],
    parts: dict[str, list[pl.DataFrame]],
) -> None:  # fmt: skip
    """One slice's part of each frame."""
    priced = by_call.with_money(calls, charges)
    for name in wanted & by_call.GROUPS.keys():
        parts[name].append(by_call.grouped(name, priced))
    parts["looked"].append(calls.select(pl.col("answer_ms").is_not_null().sum().cast(pl.Int64).alias("calls")))
    parts["charges"].append(pl.DataFrame({"charges": [charges.height]}))
    if "views" in wanted:
        base = charges.group_by("role", "currency").agg(pl.col("nanos").cast(pl.Int128).sum().cast(pl.Int64).alias("base_nanos"))
        both = base.join(view.rename({"nanos": "view_nanos"}), on=["role", "currency"], how="full", coalesce=True)
        parts["views"].append(both.select("role", "currency", pl.col("view_nanos", "base_nanos").fill_null(0)))
    if "verified" in wanted:
        parts["verified"].append(verify.verified(charges, calls, tenant, terms_of))
    if wanted & {"duplicates", "suspects"}:
        parts["pairs"].append(by_call.pairs(priced))


def _together(
    client: Warehouse, tenant: str, period: tuple[int, int], parts: dict[str, list[pl.DataFrame]], wanted: frozenset[str]
) -> Frames:  # fmt: skip
    found: Frames = {}
    for name in wanted & by_call.GROUPS.keys():
        found[name] = by_call.merged(name, parts[name])
    for name, column in (("looked", "calls"), ("charges", "charges")):
        found[name] = pl.DataFrame({column: [sum(int(one[column].sum()) for one in parts[name])]}, {column: pl.Int64})
    views = pl.DataFrame(schema={"role": pl.String, "currency": pl.String, "view_nanos": pl.Int64, "base_nanos": pl.Int64})
    views = pl.concat([views, *parts["views"]]).group_by("role", "currency").agg(pl.col("view_nanos", "base_nanos").sum())
    found["views"] = views.filter(pl.col("view_nanos") != pl.col("base_nanos"))
    found["verified"] = verify.merged(parts["verified"])
    if wanted & {"duplicates", "suspects"}:
        pairs = pl.concat([pl.DataFrame(schema=by_call.PAIRS), *parts.pop("pairs")])
        twins = by_call.twins(pairs)
        exact = (pl.col("apart_ms") == 0) & (pl.col("longer_ms") == 0)
        for name, which in (("duplicates", exact), ("suspects", ~exact)):
            found[name] = _with_names(client, tenant, period, twins.filter(which).sort("sell", descending=True).head(MOST_TWINS))
    return found


def _with_names(client: Warehouse, tenant: str, period: tuple[int, int], twins: pl.DataFrame) -> pl.DataFrame:
    """Twins with the account and the number called; a call that is there several times is one row."""
    keys = twins.select("partition", "offset").iter_rows()
    names = frame(client, control_queries.names_of_calls(tenant, keys, period[0] - DAY_MS))
    at = pl.col("answer_ms").map_elements(moment, return_dtype=pl.String).alias("at")
    found = twins.join(names.with_columns(pl.col("partition").cast(pl.Int32)), on=["partition", "offset"], how="left")
    return found.group_by("account", "b_number", at, "currency").agg(
        pl.len().cast(pl.Int64).alias("calls"), pl.col("sell").sum().alias("nanos"), pl.col("apart_ms").min()
    )
