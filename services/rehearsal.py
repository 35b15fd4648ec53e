"""A home to practise on: October's calls, bought from the carrier `alpha` and sold to the account `acme`, and the bill that alpha sends for them,
with every fault that such bills have and the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from core import schemas
from core.config import Account, Agreement, Carrier, Config, DeckSpan, Role
from services import first_start
from services.errors import InUse
from services.installation import Installation
from simulator.billing.faults import bill_of
from simulator.billing.files import cdr_file, invoice_file
from simulator.billing.own import MARK_UP, deck_csv, offer, own_calls, priced
from warehouse import embedded_directory, insert, migrate, open_warehouse

Leak = Callable[[dict[str, pl.DataFrame]], dict[str, pl.DataFrame]]


def config(tenant: str) -> Config:
    """One carrier and one account, by agreements in Vienna's time."""

    def agreement(name: str, role: Role, deck: str) -> Agreement:
        return Agreement(tenant=tenant, name=name, role=role, plan=(DeckSpan(deck=deck),), currency="EUR", time_zone="Europe/Vienna")

    return Config(
        agreements=(agreement("alpha-buy", "buy", "wholesale"), agreement("acme-sell", "sell", "retail")),
        carriers=(Carrier(tenant=tenant, name="alpha", agreement="alpha-buy"),),
        accounts=(Account(tenant=tenant, name="acme", agreement="acme-sell"),),
    )


def rehearse(installation: Installation, out: Path, calls: int, seed: int, now_ms: int) -> int:
    """Lays a new home with so many calls, and writes the carrier's invoice, its calls and the key to `out`. Returns how many faults the key has.
    Raises `InUse` where the home has books already."""
    if installation.has_books:
        raise InUse(f"{installation.root} is an installation already: name a new --home to practise on")
    bill = bill_of(own_calls(calls, seed, offer()), offer(), seed + 1, share=0.005)
    make_home(installation, bill.ours, now_ms)
    out.mkdir(parents=True, exist_ok=True)
    (out / "alpha-invoice.csv").write_bytes(invoice_file(bill))
    (out / "alpha-calls.csv").write_bytes(cdr_file(bill, seed + 2))
    bill.key.write_csv(out / "key.csv")
    return bill.key.height


def make_home(
    installation: Installation, ours: pl.DataFrame, now_ms: int, leak: Leak = lambda found: found, agreed: Config | None = None
) -> None:  # fmt: skip
    """The home, with calls (`simulator.billing.own.own_calls`) as if they had been stored live. `leak` changes what is stored; `agreed`: other
    agreements than those of `config`."""
    first_start.lay(installation)
    decks = {"wholesale": deck_csv(), "retail": deck_csv(MARK_UP)}
    first_start.open_and_publish(installation, first_start.Start(agreed or config(installation.tenant), decks, "EUR", (installation.tenant,)), now_ms)
    if embedded_directory(installation.warehouse_dsn) is None:
        raise InUse("a home to practise on has the embedded warehouse: unset RINGFENCE_WAREHOUSE")
    client = open_warehouse(installation.warehouse_dsn)
    migrate(client)
    for name, frame in leak(tables(ours, installation.tenant)).items():
        insert(client, name, frame.to_arrow())
    client.close()


def blank(schema: pl.Schema, frame: pl.DataFrame, **constant: object) -> pl.DataFrame:
    """A frame of a table: "" and null where nothing is known."""
    found = frame.with_columns(**{name: pl.lit(value) for name, value in constant.items()})
    more = {
        name: pl.lit("") if dtype == pl.String else pl.lit(False) if dtype == pl.Boolean else pl.lit(None, dtype)
        for name, dtype in schema.items() if name not in found.columns
    }  # fmt: skip
    return found.with_columns(**more).select(*schema).cast(schema)


def tables(ours: pl.DataFrame, tenant: str) -> dict[str, pl.DataFrame]:
    """Calls, attempts and charges, by their tables."""
    base = ours.drop("place", strict=False).with_row_index("offset").with_columns(
        pl.col("offset").cast(pl.Int64), (pl.col("at_ms") + pl.col("duration_ms")).alias("end_ms"), (
            pl.col("at_ms") + pl.col("duration_ms") + 200).alias("learned_ms"),
        pl.col("at_ms").alias("answer_ms"), pl.col("at_ms").alias("start_ms"),
    )  # fmt: skip
    facts: dict[str, Any] = {"partition": 0, "revision": 1, "record_partition": 0, "tenant": tenant, "account": "acme", "carrier": "alpha",
        "config_version": 1}
    base = base.with_columns(pl.col("offset").alias("record_offset"))
    calls = blank(schemas.CALLS, base, **facts, switch="k1", a_kind="e164", b_kind="e164", attempts=1, sip_code=200, duration_source="answer_to_end")
    attempts = blank(schemas.ATTEMPTS, base.drop("attempt_no").with_columns(pl.col("end_ms").alias("at_ms")), **facts, switch="k1",
        attempt_no=1, answered=True)
    zeros: dict[str, Any] = {"run": 0, "level": 0, "segment": 0, "connect_nanos": 0, "attempt_nanos": 0, "surcharge_nanos": 0, "currency": "EUR"}
    bought = base.with_columns(pl.col("nanos").alias("usage_nanos"))
    bought = blank(schemas.CHARGES, bought.drop("attempt_no"), **facts, **zeros, role="buy", attempt_no=1, party="alpha",
        agreement="alpha-buy", deck="wholesale")
    sale = priced(ours.select("a_number", "b_number", "at_ms", "duration_ms"), offer(False, MARK_UP))
    sold = base.drop("charged_s", "per_min_nanos", "nanos", "prefix", "destination").hstack(
        sale.select("charged_s", "per_min_nanos", "nanos", "prefix", "destination", pl.col("nanos").alias("usage_nanos"))
    )  # fmt: skip
    sold = blank(schemas.CHARGES, sold.drop("attempt_no"), **facts, **zeros, role="sell", attempt_no=0, party="acme", agreement="acme-sell",
        deck="retail")
    stops = base.drop("offset", "attempt_no").with_columns(
        pl.col("record_offset").alias("offset"), pl.col("record_offset").alias("seq"), pl.col("end_ms").alias("at_ms")
    )
    records = blank(schemas.JUDGED, stops, **facts, switch="k1", boot_id="b1", event="stop", disposition="rated", attempt_no=1,
        interim_no=0, part_no=0)
    records = records.with_columns(pl.lit(None, pl.Binary).alias("raw"))
    return {"records": records, "calls": calls, "attempts": attempts, "charges": pl.concat([bought, sold])}
