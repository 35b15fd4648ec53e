"""Calls in columns as the records that a switch posts: JSON lines of record version 2, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from simulator.columns import Ints

SWITCH = "sim1"
SETUP, ANSWER, STOP = range(3)
EVENTS = ("setup", "answer", "stop")


class Events(NamedTuple):
    """When each record is written: columns in order of time. `call` is the row of the call."""

    at_ms: Ints
    call: Ints
    kind: Ints


def events(frame: pl.DataFrame, kinds: tuple[int, ...] = (SETUP, ANSWER, STOP)) -> Events:
    """The events of calls: a setup, an answer where there is one, a stop.

    >>> from simulator.columns import calls
    >>> found = events(calls(1, setup_ms=[10], pdd_ms=[5], ring_ms=[1000], talk_ms=[60_000]))
    >>> found.at_ms.tolist(), found.kind.tolist()
    ([10, 1015, 61015], [0, 1, 2])
    """
    setup = frame["setup_ms"].to_numpy()
    answer = setup + frame["pdd_ms"].to_numpy() + frame["ring_ms"].to_numpy()
    talks = frame["talk_ms"].is_not_null().to_numpy()
    stop = answer + frame["talk_ms"].fill_null(0).to_numpy()
    every = np.arange(frame.height)
    times = {SETUP: (setup, every), ANSWER: (answer[talks], every[talks]), STOP: (stop, every)}
    at_ms = np.concatenate([times[kind][0] for kind in kinds])
    call = np.concatenate([times[kind][1] for kind in kinds])
    kind = np.concatenate([np.full(len(times[one][0]), one) for one in kinds])
    order = np.lexsort((kind, at_ms))
    return Events(at_ms[order], call[order], kind[order])


def lines(frame: pl.DataFrame, found: Events, boot_id: str, first_seq: int) -> Iterator[tuple[str, str, bytes]]:
    """Tenant, account and JSON of each event of `found`."""
    rows = frame[found.call].select(
        "tenant", "account", "ingress_trunk", "src_ip", "user_agent", "a_number", "b_number", "setup_ms", "pdd_ms", "ring_ms", "talk_ms",
        "carrier", "egress_trunk", "sip_code", "q850", "release_side", "imei", "imsi", "cell", "attestation", "call_id",
    )  # fmt: skip
    head = f'{{"v":2,"switch":"{SWITCH}","boot_id":"{boot_id}","seq":'
    seq = first_seq
    for row, at_ms, kind in zip(rows.iter_rows(), found.at_ms.tolist(), found.kind.tolist(), strict=True):
        (
            tenant, account, trunk, ip, agent, a_number, b_number, setup_ms, pdd_ms, ring_ms, talk_ms, carrier, egress, code, q850, side,
            imei, imsi, cell, level, call_id,
        ) = row  # fmt: skip
        a_raw = "anonymous" if not a_number else f"+{a_number}" if a_number.isdigit() and a_number[0] != "0" else a_number
        line = (
            f'{head}{seq},"event":"{EVENTS[kind]}","at_ms":{at_ms},"tenant":"{tenant}","call_id":"{call_id}","dialog_id":"{call_id}",'
            f'"from_tag":"t","account":"{account}","auth":"source","ingress_trunk":"{trunk}","src_ip":"{ip}","user_agent":"{agent}",'
            f'"a_raw":"{a_raw}","b_raw":"+{b_number}","setup_ms":{setup_ms},"attempt_no":1,"carrier":"{carrier}","egress_trunk":"{egress}"'
        )
        if imsi:
            line += f',"imsi":"{imsi}","imei":"{imei}","cell":"{cell}"'
        if level:
            line += f',"attestation":"{level}"'
        if kind:
            answer_ms = setup_ms + pdd_ms + ring_ms
            line += f',"pdd_ms":{pdd_ms}'
            if ring_ms:
                line += f',"ringing_ms":{setup_ms + pdd_ms}'
            if talk_ms is not None:
                line += f',"answer_ms":{answer_ms}'
            if kind == STOP:
                line += f',"end_ms":{answer_ms + (talk_ms or 0)},"duration_ms":{talk_ms or 0},"sip_code":{code},"q850":{q850},"release_side":"{side}"'
        yield tenant, account, (line + "}").encode()
        seq += 1
