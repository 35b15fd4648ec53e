"""Calls per second through Kamailio, shipper, collector, judge and store, up to the rate at which stored calls differ from SIPp's measurements.

At each rate every call must have its record and its money, its duration must be within 50 ms of SIPp's measurement, and none
may be refused. `--full`: 200 calls per second for five minutes, then higher rates for a minute each, until that fails; without it
200 per second for fifteen seconds. `--rate` and `--seconds` choose one round.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from figures import need, print_use, use_of
from kamailio_calls import ack, expect, in_call, invite, pause, picks_up, scenario
from real_chain import Chain, Customer, build

from core.clock import wall_clock_ms
from warehouse import queries

ACCOUNTS, CALLERS = 100, 20_000
NEAR_MS = 50
TALK_S = (1, 5)
RATES = (200, 300, 400, 500, 600, 800, 1000)


class Round(NamedTuple):
    """What came of a rate."""

    rate: int
    placed: int  # INVITEs that SIPp sent
    completed: int  # that SIPp saw through to the end
    stored: int  # of those: with a rated row
    near: int  # of those: within NEAR_MS
    worst_ms: float
    median_ms: float
    refused: int
    missing_records: int
    behind_s: float  # until the last record was stored

    @property
    def true(self) -> bool:
        return self.placed == self.completed == self.stored == self.near and not self.refused and not self.missing_records


def caller() -> str:
    """A call whose talk SIPp measures by its own clock: from the answer's arrival to the moment the BYE leaves."""

    def stamp(letter: str) -> str:
        return f'<gettimeofday assign_to="{letter}s,{letter}u"/><log message="{letter} [call_id] [${letter}s] [${letter}u]"/>'

    answered = expect(200, rrs=True).replace("/>", f"><action>{stamp('A')}</action></recv>")
    provisional = "".join(expect(code, optional=True) for code in (100, 180, 183))
    text = scenario(
        invite(), provisional, answered, ack(), f'<pause distribution="uniform" min="{TALK_S[0] * 1000}" max="{TALK_S[1] * 1000}"/>',
        f"<nop><action>{stamp('B')}</action></nop>", in_call("BYE", 2), expect(200), pause(50),
    )  # fmt: skip
    # Address, caller and called number come from the file of callers; each address has a socket of its own, with a port that SIPp
    # does not know in the text, so the switch answers to where the request came from.
    replaced = {
        ":[local_port]": "", ";branch=": ";rport;branch=", "[local_ip]": "[field0]", "[caller]": "[field1]", "[service]": "[field2]",
    }  # fmt: skip
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def callers(known: list[Customer], chance: random.Random) -> str:
    """Everybody calls somebody else: no account, no caller and no range is anything but ordinary."""
    lines = [
        f"{known[n % len(known)].address};4319{n:07};43{chance.randrange(600, 700)}{chance.randrange(10**7):07};"
        for n in range(CALLERS)
    ]
    chance.shuffle(lines)
    return "\n".join(["SEQUENTIAL", *lines]) + "\n"


def measured(directory: Path) -> dict[str, float]:
    """Call-ID -> ms of talk, by SIPp's clock."""
    answered: dict[str, float] = {}
    talked: dict[str, float] = {}
    for path in directory.glob("*_logs.log"):
        for line in path.read_text().splitlines():
            word, call_id, s, us = line.split()
            at_ms = float(s) * 1000 + float(us) / 1000
            if word == "A":
                answered.setdefault(call_id, at_ms)
            elif call_id in answered:
                talked[call_id] = at_ms - answered[call_id]
    return talked


def one_round(chain: Chain, known: list[Customer], rate: int, seconds: int) -> Round:
    chance = random.Random(rate)
    calls, since_ms = rate * seconds, wall_clock_ms()
    chain.bench.count += 1
    inf = chain.bench.directory / f"callers-{chain.bench.count}.csv"
    inf.write_text(callers(known, chance))
    args = [
        "{}:{}".format(*chain.bench.address),
        "-t",
        "ui",
        "-inf",
        str(inf),
        "-m",
        str(calls),
        "-r",
        str(rate),
        "-l",
        "100000",
        "-max_socket",
        "1000",
    ]
    sipp = chain.bench._sipp(
        caller(), known[0].address, 5070, *args, "-trace_logs", "-buff_size", "1000000", "-timeout", f"{seconds + 60}s"
    )
    before, began = use_of(chain), time.monotonic()
    while sipp.process.poll() is None:
        chain.check_alive()
        time.sleep(0.2)
    ended = time.monotonic()
    after = use_of(chain)
    talked = measured(sipp.directory)
    rows = wait_stored(chain, since_ms, len(talked))
    behind_s = time.monotonic() - ended
    differences = [abs(rows[call_id] - ms) for call_id, ms in talked.items() if call_id in rows]
    counts = "SELECT countIf(event = 'setup') AS setups, countIf(event = 'refused') AS refused FROM records_latest WHERE learned_ms >= {s:Int64}"
    count = chain.query((counts, {"s": since_ms}))[0]
    print_use(before, after, ended - began)
    return Round(
        rate, calls, len(talked), len(differences), sum(ms <= NEAR_MS for ms in differences), max(differences, default=0.0),
        statistics.median(differences or [0.0]), count["refused"], sum(gap["missing"] for gap in chain.query(queries.gaps())), behind_s,
    )  # fmt: skip


def wait_stored(chain: Chain, since_ms: int, calls: int, within_s: float = 60.0) -> dict[str, int]:
    """Call-ID -> duration of what is rated, when it is all there or nothing more comes."""
    sql = "SELECT call_id, duration_ms FROM calls_latest WHERE learned_ms >= {s:Int64} AND answer_ms IS NOT NULL"
    rows: dict[str, int] = {}
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = {row["call_id"]: row["duration_ms"] for row in chain.query((sql, {"s": since_ms}))}
        if len(found) > len(rows):
            until = time.monotonic() + within_s
        rows = found
        if len(rows) >= calls:
            break
        time.sleep(0.5)
    return rows


def report(one: Round) -> None:
    print(
        f"{one.rate:5d} calls/s: {'TRUE ' if one.true else 'FALSE'} {one.completed} of {one.placed} calls completed, {one.stored} stored, "
        f"{one.near} within {NEAR_MS} ms (median {one.median_ms:.1f}, worst {one.worst_ms:.0f} ms), {one.refused} refused, "
        f"{one.missing_records} records missing; the last was stored {one.behind_s:.1f} s after the last BYE"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="200/s for five minutes, then more until it is not true any more")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=15)
    chosen = parser.parse_args()
    need("kamailio", "sipp")
    rounds = [(rate, 300 if rate == 200 else 60) for rate in RATES] if chosen.full else [(chosen.rate, chosen.seconds)]
    with tempfile.TemporaryDirectory() as directory:
        chain = build(Path(directory), count=ACCOUNTS + 1, workers=4, spool_span_s=3600, callees=(picks_up(200), picks_up(200)))
        try:
            for rate, seconds in rounds:
                one = one_round(chain, chain.known[1:], rate, seconds)
                report(one)
                if not one.true:
                    break
        finally:
            chain.close()


if __name__ == "__main__":
    main()
