"""Traffic of all families as files: a CDR file with the mapping to replay it, records for a collector, the decks, and the truth."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from simulator.decks import CURRENCY, OFFERS, deck_csv
from simulator.episodes import Traffic
from simulator.record_lines import events, lines
from simulator.truth import Truth

COLUMNS = (
    "tenant", "call_id", "account", "ingress_trunk", "carrier", "egress_trunk", "a_number", "b_number", "setup", "ringing", "answer", "end",
    "duration_s", "sell_amount", "buy_amount", "sip_code", "q850", "release_side", "src_ip", "user_agent", "attestation", "imei", "imsi", "cell",
)  # fmt: skip
"""Of `calls.csv`: one row per call in order of its end, times as epoch milliseconds."""

MAPPING = (
    f"""\
# How `ringfence replay --calls calls.csv --mapping mapping.yaml --out DIR` reads the file beside this one.
format: csv
timezone: UTC
time_format: epoch_ms
call_ids: unique
currency: {CURRENCY}
columns:
"""
    + "\n".join(f"  {name}: {name}" for name in COLUMNS)
    + "\n"
)

BATCH = 100_000


def write_traffic(out_dir: Path, found: Traffic, *, records: bool = False) -> Truth:
    """Write `calls.csv`, `mapping.yaml`, `decks/`, `truth.json` and `labels.csv` (call_id, episode, look_alike, loss), and with `records` also
    `records.jsonl`, as a switch posts them. The truth is in `truth.json` and `labels.csv` alone."""
    (out_dir / "decks").mkdir(parents=True, exist_ok=True)
    for name in OFFERS:
        (out_dir / "decks" / f"{name}.csv").write_bytes(deck_csv(name))
    (out_dir / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    cdr_file(found.frame).write_csv(out_dir / "calls.csv")
    labelled = found.frame.filter((pl.col("episode") != "") | (pl.col("look_alike") != ""))
    labelled.select("call_id", "episode", "look_alike", loss=decimal("loss_nanos")).write_csv(out_dir / "labels.csv")
    written = 0
    if records:
        boot_id, every = f"{found.start_ms // 1000}.000000", events(found.frame)
        with (out_dir / "records.jsonl").open("wb") as file:
            for at in range(0, len(every.at_ms), BATCH):
                part = type(every)(*(column[at : at + BATCH] for column in every))
                file.writelines(line + b"\n" for *_, line in lines(found.frame, part, boot_id, at + 1))
        written = len(every.at_ms)
    truth = Truth(
        seed=found.seed, start_ms=found.start_ms, end_ms=found.end_ms, calls=found.frame.height, records=written,
        episodes=found.episodes, look_alikes=found.look_alikes,
    )  # fmt: skip
    (out_dir / "truth.json").write_bytes(truth.json())
    return truth


def cdr_file(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of `calls.csv`."""
    ringing = pl.col("setup_ms") + pl.col("pdd_ms")
    answer = ringing + pl.col("ring_ms")
    talk_ms = pl.col("talk_ms").fill_null(0)
    rows = frame.with_columns(
        setup=pl.col("setup_ms"), ringing=pl.when(pl.col("ring_ms") > 0).then(ringing),
        answer=pl.when(pl.col("talk_ms").is_not_null()).then(answer), end=answer + talk_ms,
        duration_s=(talk_ms / 1000).round(3), sell_amount=decimal("sell_nanos"), buy_amount=decimal("buy_nanos"),
    )  # fmt: skip
    return rows.select(COLUMNS).sort("end", maintain_order=True)


def decimal(nanos: str) -> pl.Expr:
    """A column of nanos as exact decimal text.

    >>> pl.DataFrame({"n": [1_500_000_000]}).select(decimal("n")).item()
    '1.500000000'
    """
    whole, rest = pl.col(nanos) // 10**9, pl.col(nanos) % 10**9
    return whole.cast(pl.String) + pl.lit(".") + rest.cast(pl.String).str.zfill(9)
