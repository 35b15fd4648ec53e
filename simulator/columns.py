"""Calls as columns: one row per call, made by the million. The schema, its builder, and hashes that replace tables of who knows whom."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

CALL = pl.Schema(
    {
        "tenant": pl.String,
        "account": pl.String,
        "ingress_trunk": pl.String,
        "src_ip": pl.String,
        "user_agent": pl.String,
        "a_number": pl.String,  # as it was presented: E.164 digits, an invalid text, "" = withheld
        "b_number": pl.String,  # E.164 digits
        "setup_ms": pl.Int64,
        "pdd_ms": pl.Int64,
        "ring_ms": pl.Int64,
        "talk_ms": pl.Int64,  # null = not answered
        "carrier": pl.String,
        "egress_trunk": pl.String,
        "sip_code": pl.Int32,
        "q850": pl.Int32,
        "release_side": pl.String,
        "imei": pl.String,  # the next three in the mobile profile alone
        "imsi": pl.String,
        "cell": pl.String,
        "attestation": pl.String,
        "loss_eur": pl.Float64,  # truth: what the call costs its victim, null = its price
        "episode": pl.String,  # truth: the attack that it belongs to, "" = honest
        "look_alike": pl.String,  # truth: the honest subject that resembles an attack, "" = ordinary
    }
)
"""The last three columns are the truth and never part of a record."""

TEXT_DEFAULTS = {name: "" for name, dtype in CALL.items() if dtype == pl.String}


def calls(n: int, **values: Any) -> pl.DataFrame:
    """A frame of `n` calls; a single value stands for all rows, a column that is not named is empty.

    >>> calls(2, tenant="retail", b_number=[4366412345678, 4366412345679], setup_ms=[5, 6], talk_ms=[1000, -1])["talk_ms"].to_list()
    [1000, None]
    """
    columns = []
    for name, dtype in CALL.items():
        value = values.get(name, TEXT_DEFAULTS.get(name))
        if value is None or isinstance(value, (str, int, float)):
            columns.append(pl.repeat(value, n, dtype=dtype, eager=True).alias(name))
        else:
            columns.append(pl.Series(name, value).cast(dtype))
    frame = pl.DataFrame(columns)
    return frame.with_columns(talk_ms=pl.when(pl.col("talk_ms") >= 0).then("talk_ms"))


def generator(seed: int, *names: object) -> np.random.Generator:
    """The random generator of one stream of a seed: what one stream draws changes no other.

    >>> bool(generator(1, "honest").integers(9) == generator(1, "honest").integers(9))
    True
    """
    return np.random.default_rng([seed, crc32(" ".join(map(str, names)).encode())])


_M1, _M2, _STEP = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def hashed(*parts: Array | int) -> npt.NDArray[np.uint64]:
    """64 well mixed bits of each row (splitmix64), so that a caller's n-th contact is computed and not stored.

    >>> len(set(hashed(np.array([1, 1, 2]), 7).tolist()))
    2
    """
    state = np.zeros(1, np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            state = (state ^ np.asarray(part).astype(np.uint64)) + _STEP
            state = (state ^ (state >> np.uint64(30))) * _M1
            state = (state ^ (state >> np.uint64(27))) * _M2
            state = state ^ (state >> np.uint64(31))
    return state


def share(bits: npt.NDArray[np.uint64]) -> Floats:
    """Hashes as numbers from 0 to 1."""
    found: Floats = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found


def taken(names: Any, places: Array) -> pl.Series:
    """The texts at these places of a list."""
    return pl.Series(names, dtype=pl.String).gather(pl.Series(places.astype(np.uint32)))
