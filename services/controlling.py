"""The controls of the money: what they need is asked for once, each control answers, and every run is kept.

Order: all questions and answers first, then one transaction with the results. A crash before it leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import polars as pl

from assurance.controls.protocol import Facts, Result
from assurance.controls.registry import controls
from books import BooksError, Engine, alerts, configs, control_results, disputes, picked_files, reading, reconciliations, writing
from services import control_facts, credit, invoice_proof, posting
from services.errors import ServiceError
from services.in_force import from_books
from services.installation import Installation, opened_books, tenant_of
from services.reading import warehouse
from warehouse import WarehouseError, ask


def run(
    installation: Installation, tenant: str, period: tuple[int, int], now_ms: int, only: tuple[str, ...] = (), keep: bool = True
) -> list[Result]:
    """Asks every control (or `only` some) about a period. What could not be looked at says so."""
    chosen = [one for one in controls() if not only or one.name in only]
    needs = sorted({need for one in chosen for need in one.needs})
    with opened_books(installation) as engine:
        with reading(engine) as conn:
            tenant = tenant_of(conn, tenant)
        frames, absent = control_facts.read(installation, tenant, period, needs, from_books(engine), now_ms)
        sources = SOURCES | {"exposure": partial(_exposure, now_ms)}
        for need in needs:
            if need in sources:
                try:
                    frames[need] = sources[need](installation, engine, tenant, period, frames)
                except (BooksError, WarehouseError, ServiceError) as wrong:
                    absent[need] = str(wrong)
        facts = Facts(*period, now_ms, frames, absent)
        results = [one.run(facts) for one in chosen]
        if keep:
            with writing(engine) as conn:
                control_results.add(conn, tenant, *period, results, now_ms)
    return results


# --- what is not in the warehouse ---

ZONE_MS = 14 * 3_600_000
FILES_BEFORE_MS = 35 * 86_400_000

Source = Callable[[Installation, Engine, str, tuple[int, int], dict[str, pl.DataFrame]], pl.DataFrame]


def _alerts(_: Installation, engine: Engine, tenant: str, period: tuple[int, int], __: dict[str, pl.DataFrame]) -> pl.DataFrame:
    with reading(engine) as conn:
        rows = alerts.exposures(conn, tenant, *period)
    schema = pl.Schema({"subject": pl.String, "detector": pl.String, "alerts": pl.Int64, "nanos": pl.Int64, "currency": pl.String})
    return pl.DataFrame(rows, schema=schema, orient="row")


def _ledger_faults(installation: Installation, _: Engine, tenant: str, __: tuple[int, int], frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    proof = posting.prove(installation)
    frames["ledger"] = pl.DataFrame({"charges": [proof.charges]})
    rows = [
        (f"{one.party}, {one.agreement or 'no agreement'}: the ledger and the charges differ", one.entries - one.charges, one.currency)
        for one in proof.compared if one.tenant == tenant and one.charges != one.entries
    ]  # fmt: skip
    if not rows:
        rows = [(words, 0, "") for words in proof.faults]
    return pl.DataFrame(rows, schema=pl.Schema({"what": pl.String, "nanos": pl.Int64, "currency": pl.String}), orient="row")


def _invoice_faults(installation: Installation, _: Engine, tenant: str, __: tuple[int, int], frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    proof = invoice_proof.prove(installation, tenant)
    frames["invoices"] = pl.DataFrame({"invoices": [proof.invoices]})
    return pl.DataFrame({"what": proof.faults}, schema={"what": pl.String})


def _exposure(
    now_ms: int, installation: Installation, engine: Engine, tenant: str, _: tuple[int, int], __: dict[str, pl.DataFrame]
) -> pl.DataFrame:
    """What parties owe now, whatever the period is: calls in progress are those of now."""
    with warehouse(installation) as client, reading(engine) as conn:
        terms = from_books(engine)(configs.latest(conn))
        found = credit.credits(conn, partial(ask, client), terms, now_ms, tenant, limited=True)
        rows = [
            (one.party, ", ".join(agreement.name for agreement in one.agreements), one.exposure.total, one.exposure.limit, one.currency)
            for one in found
        ]  # fmt: skip
    schema = pl.Schema({"party": pl.String, "agreement": pl.String, "nanos": pl.Int64, "limit_nanos": pl.Int64, "currency": pl.String})
    return pl.DataFrame(rows, schema=schema, orient="row")


def _reconciled(_: Installation, engine: Engine, tenant: str, period: tuple[int, int], __: dict[str, pl.DataFrame]) -> pl.DataFrame:
    with reading(engine) as conn:
        rows = reconciliations.every(conn, tenant, "buy")
    # Bills are of days in the zone of their agreement, the controls' of UTC.
    done = [one.party for one in rows if one.from_ms <= period[0] + ZONE_MS and one.to_ms >= period[1] - ZONE_MS]
    return pl.DataFrame({"carrier": done}, schema={"carrier": pl.String})


def _open_disputes(_: Installation, engine: Engine, tenant: str, __: tuple[int, int], frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    with reading(engine) as conn:
        rows = disputes.every(conn, tenant)
    frames["dispute_count"] = pl.DataFrame({"disputes": [len(rows)]})
    still = [(one.id, one.party, one.state, one.due_ms, one.nanos, one.currency) for one in rows if one.is_open]
    schema = pl.Schema({"id": pl.String, "party": pl.String, "state": pl.String, "due_ms": pl.Int64, "nanos": pl.Int64, "currency": pl.String})
    return pl.DataFrame(still, schema=schema, orient="row")


def _files(_: Installation, engine: Engine, tenant: str, period: tuple[int, int], __: dict[str, pl.DataFrame]) -> pl.DataFrame:
    with reading(engine) as conn:
        rows = [msgspec.structs.asdict(one) for one in picked_files.every(conn, tenant, since_ms=period[0] - FILES_BEFORE_MS)]
    texts, numbers = ("source", "name", "sha256"), ("size_bytes", "modified_ms", "number", "every_ms", "least_bytes")
    schema = pl.Schema({**dict.fromkeys(texts, pl.String), **dict.fromkeys(numbers, pl.Int64)})
    return pl.DataFrame(rows, schema).filter(pl.col("modified_ms") < period[1])


SOURCES: dict[str, Source] = {
    "alerts": _alerts, "ledger_faults": _ledger_faults, "invoice_faults": _invoice_faults, "reconciled": _reconciled,
    "open_disputes": _open_disputes, "files": _files,
}  # fmt: skip
"""Frames that are made from the books."""
