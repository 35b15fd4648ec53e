"""A warehouse that hangs for a minute delays no order, and catches up when it comes back."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from ports import free_port
from until import until

from core.record import Record
from ringfence.ops.secrets import load_or_make
from ringfence.settings import Settings
from services import first_start
from simulator.world import make_world
from switches.loopback import Loopback
from switches.post import PostError, connect, post_records

TENANT, HANG_S, ATTACKS = "demo", 60.0, 10


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_order_waits_for_a_warehouse_that_hangs(tmp_path: Path):
    settings = Settings(
        home=tmp_path, tenant=TENANT, collector_port=free_port(), warehouse_port=free_port(), control_port=free_port(), _env_file=None
    )  # fmt: skip
    first_start.lay(settings.installation)
    place, now_ms = make_world(2), round(time.time() * 1000)
    first_start.open_and_publish(settings.installation, first_start.Start(place.config, place.decks, place.currency, (TENANT,)), now_ms)
    secrets = load_or_make(settings.state_dir)
    switch = Loopback(time.time)
    served = switch.serve(settings.control_port, secrets.control_token)
    first_start.connect_switch(settings.installation, secrets, "sim1", "loopback", served.url, True, now_ms)
    parts = {}
    try:
        for name in ("collector", "judge", "store", "dispatcher"):
            log = (settings.run_dir / f"{name}.out").open("ab")
            command = [sys.executable, "-m", "ringfence", "flow", name]
            parts[name] = subprocess.Popen(command, env=os.environ | settings.environment(), stdout=log, stderr=log)
        post = patiently(settings, secrets.collector_token)
        accounts = [one.name for one in place.subscribers][: ATTACKS + 1]
        attack(post, accounts[0], 0)
        until(lambda: blocked(switch, accounts[0]), 60, "the first order, everything warm")

        parts["store"].send_signal(signal.SIGSTOP)
        stopped, waited = time.monotonic(), []
        for no, account in enumerate(accounts[1:], 1):
            began = time.monotonic()
            attack(post, account, no)
            until(lambda account=account: blocked(switch, account), 20, f"the order against {account}")
            waited.append(time.monotonic() - began)
            time.sleep(max(0.0, stopped + no * HANG_S / ATTACKS - time.monotonic()))
        assert time.monotonic() - stopped >= HANG_S
        # Each block was at the switch while the warehouse hung. A wait in the path would raise the median; a slow moment of the machine does not.
        assert statistics.median(waited) < 3.0, waited

        parts["store"].send_signal(signal.SIGCONT)
        until(lambda: stored(settings) == sent(accounts), 30, "the rows of the minute")
    finally:
        for process in parts.values():
            process.kill()
            process.wait()
        served.close()


def patiently(settings: Settings, token: str):
    client = connect(settings.collector_url, token)

    def post(lines: list[bytes]) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                post_records(client, lines, complete_to_ms=round(time.time() * 1000))
                return
            except PostError:
                assert time.monotonic() < end
                time.sleep(0.2)

    return post


CALLS = 12


def attack(post, account: str, no: int) -> None:
    """A dozen calls into one satellite range, answered at once."""
    now_ms = round(time.time() * 1000)
    lines = []
    for call in range(CALLS):
        facts = {
            "v": 2, "switch": "sim1", "boot_id": "b1", "dialog_id": f"{no}-{call}", "call_id": f"call-{no}-{call}", "account": account,
            "a_raw": "+4366012345678", "b_raw": f"+8821312{call:04d}", "at_ms": now_ms,
        }  # fmt: skip
        for step, event in enumerate(("setup", "answer")):
            lines.append(msgspec.json.encode(Record(event=event, seq=(no * CALLS + call) * 2 + step, **facts)))
    post(lines)


def sent(accounts: list[str]) -> int:
    return len(accounts) * CALLS * 2


def blocked(switch: Loopback, account: str) -> bool:
    return bool(switch.lookup(TENANT, account, "", "4366012345678", "88213120000"))


def stored(settings: Settings) -> int:
    from services.reading import warehouse

    with warehouse(settings.installation) as client:
        return client.query("SELECT count() FROM records_latest").result_rows[0][0]
