"""What a detector said about traffic: its alerts, and the calls that its blocks refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Alert:
    """One alert, at the moment at which a person or a switch could act on it. `calls`: ids of calls that it shows."""

    at_ms: int
    tenant: str
    subject: str  # what it is about, as one text
    account: str = ""  # "" = it is about no account
    carrier: str = ""
    detector: str = ""
    calls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """New calls of an account (with a caller, to a range) are refused from `from_ms` to `to_ms`."""

    tenant: str
    account: str
    from_ms: int
    to_ms: int
    b_range: str = ""


@dataclass(frozen=True)
class Verdict:
    """`refused`: one flag per call of the traffic, in its order. `cards`: tenant and account of each SIM card that an alert about a box names ->
    when it first did; one alert names all cards of its box."""

    name: str
    alerts: list[Alert]
    refused: Mask
    cards: Mapping[tuple[str, str], int] = field(default_factory=dict)


def refused_by(frame: pl.DataFrame, blocks: list[Block]) -> Mask:
    """The calls that any of the blocks refuses, by when they are set up.

    >>> from simulator.columns import calls
    >>> frame = calls(3, tenant="t", account="a", b_number=[441, 442, 531], setup_ms=[5, 15, 16])
    >>> refused_by(frame, [Block("t", "a", 10, 20, "44")]).tolist()
    [False, True, False]
    """
    refused = np.zeros(frame.height, np.bool_)
    if not blocks:
        return refused
    wanted: dict[tuple[str, str], list[Block]] = {}
    for one in blocks:
        wanted.setdefault((one.tenant, one.account), []).append(one)
    names = pl.DataFrame([{"tenant": tenant, "account": account} for tenant, account in wanted])
    rows = frame.select("tenant", "account", "setup_ms", "b_number").with_row_index("row").join(names, on=["tenant", "account"], how="semi")
    for row, tenant, account, setup_ms, b_number in rows.iter_rows():
        refused[row] = any(one.from_ms <= setup_ms < one.to_ms and b_number.startswith(one.b_range) for one in wanted[tenant, account])
    return refused
