"""SIM box: international calls are brought in over the internet and sent on from local SIMs as if they were local calls.

A SIM of a box calls hundreds of different numbers a day, hardly any twice, with ordinary lengths (other people talk), and moves in no cell. One
device (IMEI) holds many SIMs. With IMEI, IMSI and cell in the records this is strong evidence; without them (wholesale, ITSP) only a caller
that begins to call like this can be noticed, and a new call centre looks alike: it only warns.

Source: I. Murynets et al., "Analysis and Detection of SIMbox Fraud in Mobility Networks", INFOCOM 2014 (distinct called numbers, few incoming
calls, static cells); B. Reaves et al., "Boxed Out", USENIX Security 2015.

>>> from core.policy import Policy
>>> from detectors.registry import parameters_of
>>> parameters_of(DETECTOR, Policy(detectors={"sim_box": {"least_calls": 80.0}})).least_calls
80.0
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from detectors import evidence as of
from detectors.evidence import Part, Rows
from detectors.profile import seen
from detectors.scored import READS, Candidates, NotNegative, Probability, scored

KIND = "a_number"


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Money is in the policy's units."""

    least_probability: Probability = 0.6  # of fraud, for an alert
    least_calls: NotNegative = 60.0  # calls of one caller in a day


def parts(rows: Rows) -> Sequence[Part]:
    return (
        of.volume(rows, KIND, "day_calls", 20.0, 3.5), of.distinct_of_day(rows, KIND), of.talk(rows, KIND), of.began(rows, KIND),
        of.devices(rows), of.cells(rows), of.regular(rows, KIND, -2.0),
    )  # fmt: skip


def candidates(frame: pl.DataFrame, parameters: Parameters) -> Candidates:
    """The rows of callers with very many calls in a day."""
    found: Candidates = (seen(frame, KIND, "day_calls") >= parameters.least_calls) & (frame["a_number"] != "").to_numpy()
    return found


DETECTOR = scored(
    name="sim_box",
    about="a SIM box: one caller to very many different numbers with ordinary lengths of talk; with IMEI, IMSI and cell, many SIMs in one device",
    fraud="sim_box",
    kind=KIND,
    parts=parts,
    candidates=candidates,
    no_block="warns",
    needs=(*READS, "devices", "cells"),
    parameters=Parameters,
    fields=("a_raw", "imei", "imsi", "cell"),
)
