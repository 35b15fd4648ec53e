"""Who calls: the columns that identify a caller, as his operator's switch reports them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from simulator.columns import Array, hashed, taken
from simulator.town import SUBSCRIBER, TENANT_OF, TENANTS, WHOLESALE, Town, identity

USER_AGENTS = ("Asterisk PBX 18.9", "FreeSWITCH-mod_sofia/1.10.9", "Cisco-SIPGateway/IOS-16", "AVM FRITZ!OS", "Yealink SIP-T46S", "snomD785")
WITHHELD = (0.0, 0.01, 0.04, 0.12)
"""The share of calls without a caller's number, by account."""
INVALID = 0.006
"""Of a carrier's calls: national forms, cut numbers and texts, which honest networks deliver as well (ITU-T E.157 asks for better)."""


def who(town: Town, account: Array, number: Array) -> dict[str, Any]:
    """Columns of callers: their accounts, and the numbers that they present."""
    n_accounts = len(town.names)
    every = np.arange(n_accounts)
    tenant = TENANT_OF[town.habit[account]]
    bits = hashed(every, town.seed, 3)
    ips = [f"{('192.0.2', '198.51.100', '203.0.113')[one % 3]}.{one // 3 % 253 + 1}" for one in (bits % np.uint64(759)).tolist()]
    return {
        "tenant": taken(TENANTS, tenant),
        "account": taken(town.names, account),
        "ingress_trunk": taken([f"in-{name}" for name in town.names], np.where(tenant == 2, 0, account)).set(
            pl.Series(tenant == 2), "in-radio"
        ),
        "src_ip": taken(ips, account).set(pl.Series(tenant == 2), "192.0.2.250"),
        "user_agent": taken([*USER_AGENTS, ""], np.where(tenant == 2, len(USER_AGENTS), bits[account] >> np.uint64(20)) % 7),
        "a_number": pl.Series(number).cast(pl.String),
    }


def presented(rng: np.random.Generator, town: Town, account: Array, numbers: pl.Series) -> pl.Series:
    """The callers' numbers with honest gaps: withheld, and what carriers' customers send instead of a number."""
    n = len(account)
    draw = rng.random(n)
    bits = hashed(account, town.seed, 9)
    withheld = draw < np.array(WITHHELD)[(bits % np.uint64(4)).astype(np.int64)] * (town.habit[account] != SUBSCRIBER)
    invalid = (town.habit[account] == WHOLESALE) & (rng.random(n) < INVALID)
    odd = pl.DataFrame({"a": numbers, "kind": rng.integers(0, 4, n)}).select(
        pl.when(pl.col("kind") == 0).then(pl.col("a").str.slice(0, 5))
        .when(pl.col("kind") == 1).then(pl.lit("0") + pl.col("a").str.slice(2))
        .when(pl.col("kind") == 2).then(pl.lit("Unknown"))
        .otherwise(pl.col("a") + pl.lit("00099"))
    ).to_series()  # fmt: skip
    return numbers.zip_with(pl.Series(~invalid), odd).set(pl.Series(withheld), "")


def radio(rng: np.random.Generator, town: Town, account: Array, mobility: float = 0.35) -> dict[str, Any]:
    """IMSI, IMEI and cell of calls: at home, at work, or elsewhere (`mobility`)."""
    own = identity(town, account, town.seed)
    n, cells = len(account), max(len(town.subscribers) // 40, 12)
    draw = rng.random(n)
    cell = np.where(draw < mobility, rng.integers(0, cells, n), np.where(draw < mobility + 0.25, own["work"], own["home"]))
    mobile = pl.Series(town.habit[account] == SUBSCRIBER)
    names = [f"232-01-{one // 64:04d}-{one % 64:03d}" for one in range(cells)]
    texts = {
        "imsi": pl.Series(own["imsi"]).cast(pl.String), "imei": pl.Series(own["imei"]).cast(pl.String), "cell": taken(names, cell),
    }  # fmt: skip
    return {name: text.set(~mobile, "") for name, text in texts.items()}


def cell_name(cell: int) -> str:
    """The global identity of a cell of the mobile operator."""
    return f"232-01-{cell // 64:04d}-{cell % 64:03d}"
