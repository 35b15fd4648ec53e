"""A day as files: the records, the truth, the decks, the config, and the calls as a CDR file with the mapping to replay it."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from core.money import to_text
from simulator.calls import Call, reported_ms
from simulator.day import START_MS, day
from simulator.decks import CURRENCY
from simulator.rate_sheet import rate_sheet
from simulator.truth import Ledger, Truth
from simulator.world import make_world

COLUMNS = (
    "tenant", "call_id", "attempt_no", "account", "ingress_trunk", "carrier", "egress_trunk", "a_number", "b_number",
    "setup", "ringing", "answer", "end", "duration_s", "sell_amount", "buy_amount",
    "sip_code", "q850", "release_cause_text", "release_side", "src_ip", "user_agent", "lrn", "attestation",
)  # fmt: skip
"""Columns of `calls.csv`: one row per route attempt, all attempts of a call with its id, numbers as E.164 digits, money as decimals."""

MAPPING = (
    f"""\
# How `ringfence replay --calls calls.csv --mapping mapping.yaml --out DIR` reads the file beside this one.
format: csv
delimiter: ","
timezone: UTC
time_format: iso
time_precision: ms
currency: {CURRENCY}
columns:
"""
    + "\n".join(f"  {name}: {name}" for name in COLUMNS)
    + "\n"
)


def write(
    out_dir: Path, seed: int, hours: float = 3.0, calls_per_s: float = 0.35, start_ms: int = START_MS, attack: bool | None = None,
    sheet_from: date | None = None,
) -> Truth:  # fmt: skip
    """Write the day of a seed into a directory; returns its truth.

    `records.jsonl` (as a switch posts them), `truth.json`, `config.json`, `decks/NAME.csv`, `calls.csv`, `mapping.yaml`, and the next rate
    sheet of a carrier, `rate-sheets/alpha.xlsx`, valid from `sheet_from` (else a month after the day). Only `truth.json` contains the truth.
    """
    world = make_world(seed)
    (out_dir / "decks").mkdir(parents=True, exist_ok=True)
    for name, content in world.decks.items():
        (out_dir / "decks" / f"{name}.csv").write_bytes(content)
    (out_dir / "rate-sheets").mkdir(exist_ok=True)
    month_later = datetime.fromtimestamp(start_ms / 1000, UTC).date() + timedelta(days=30)
    (out_dir / "rate-sheets" / "alpha.xlsx").write_bytes(rate_sheet("buy-alpha", sheet_from or month_later))
    (out_dir / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(world.config), indent=2) + b"\n")
    (out_dir / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    calls: list[Call] = []
    records, truth = day(seed, hours, calls_per_s, start_ms, attack, world, on_call=calls.append)
    encode = msgspec.json.Encoder().encode
    with (out_dir / "records.jsonl").open("wb") as file:
        for one in records:
            file.write(encode(one.record) + b"\n")
    ledger = Ledger(world)
    rows = [row for call in calls for row in _rows(call, ledger)]
    rows.sort(key=lambda row: row["end"])  # a switch writes a row when it is over
    with (out_dir / "calls.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (out_dir / "truth.json").write_bytes(truth.json())
    return truth


def _rows(call: Call, ledger: Ledger) -> list[dict[str, Any]]:
    """The attempts of a call. A call without a stop has no row."""
    if call.lost_stop == "never":
        return []
    facts = call.facts
    same = {
        name: facts.get(name, "") for name in ("tenant", "account", "ingress_trunk", "src_ip", "user_agent", "lrn", "attestation")
    }
    # A device may use a Call-ID twice; a CDR file has the switch's own id, which is unique.
    same["call_id"] = facts["call_id"] + (f"#{facts['from_tag']}" if call.reused_call_id else "")
    same["a_number"], same["b_number"] = call.a_number or facts["a_raw"], call.b_number
    found = []
    now = call.at_ms
    for no, attempt in enumerate(call.attempts, 1):
        last = no == len(call.attempts)
        code, q850, text, side = call.end if last else (attempt.sip_code, attempt.q850, "", "callee")
        row = same | {
            "attempt_no": no, "carrier": attempt.carrier, "egress_trunk": attempt.egress_trunk, "setup": _iso(now),
            "sip_code": code, "q850": q850, "release_cause_text": text, "release_side": side,
        }  # fmt: skip
        now += attempt.pdd_ms
        talk_ms = 0
        if last:
            if call.ring_ms:
                row["ringing"] = _iso(now)
                now += call.ring_ms
            if call.talk_ms is not None:
                row["answer"] = _iso(now)
                talk_ms = reported_ms(call)
            row["sell_amount"] = to_text(ledger.sell_nanos(call, talk_ms))
        bought = ledger.attempt_nanos(call, attempt.carrier) + (ledger.buy_nanos(call, talk_ms) if last else 0)
        row |= {"end": _iso(now + talk_ms), "duration_s": f"{talk_ms / 1000:.3f}", "buy_amount": to_text(bought)}
        found.append(row)
    return found


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
