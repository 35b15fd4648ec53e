"""What the collector and the shipper report while they run."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running_collector import TOKEN, Running
from until import until

from core.topics import CALLS
from switches.collector import Posted, Spooled, Ticked
from switches.post import Denied, connect, post_records
from switches.shipper import Failed, Forged, Pace, Shipped, ship
from switches.signed_log import SwitchLog, mac_of

Start = Callable[..., Running]


def line(seq: int) -> bytes:
    return json.dumps({"v": 2, "event": "stop", "switch": "k1", "at_ms": int(time.time() * 1000), "seq": seq}).encode()


def test_posts_and_ticks_are_reported(start_collector: Start):
    reported: list[object] = []
    running = start_collector(report=reported.append)
    assert post_records(running.client, [line(1), line(2), b"not json"]) == 3
    stranger = connect(running.url, "another token")
    with pytest.raises(Denied):
        post_records(stranger, [line(3)])
    stranger.close()
    posts = [value for value in reported if isinstance(value, Posted)]
    assert posts == [Posted(200, 3), Posted(401, 0)]
    assert reported.index(Ticked(1)) < reported.index(posts[0]), "no record is taken before the first tick"
    assert Spooled(0, 0, "") in reported


def test_the_spool_is_reported_with_its_reason(start_collector: Start):
    reported: list[object] = []
    running = start_collector(report=reported.append, tick_s=0.1)
    running.stop()
    taken = running.journal.writer(CALLS, 0)
    try:
        start_collector(report=reported.append, tick_s=0.1)
        spooled = until(lambda: [value for value in reported if isinstance(value, Spooled) and value.waiting])[-1]
    finally:
        taken.close()
    assert spooled.bytes > 0 and "writer" in spooled.why
    until(lambda: isinstance(reported[-1], Spooled) and not reported[-1].waiting)


def test_the_shipper_reports_each_post_and_its_lines_from_the_log(start_collector: Start, tmp_path: Path):
    running = start_collector()
    home, log = tmp_path / "switch", tmp_path / "k1.log"
    home.mkdir()
    (home / "rec-1.jl").write_bytes(b"\n" + line(1) + b"\n\n" + line(2) + b"\n")
    secret = b"a secret of the switch"
    signed = line(3)
    log.write_bytes(b"x: SPOOL " + mac_of(signed, secret) + b" " + signed + b"\nx: SPOOL 0000000000000000 " + line(4) + b"\n")
    reported: list[object] = []
    stop = threading.Event()
    pace = Pace(poll_s=0.01, heartbeat_s=0.05, denied_s=0.05)
    for token, awaited in (("a wrong token", Failed), (TOKEN, Shipped)):
        stop.clear()
        arguments = {"home": home, "url": running.url, "token": token, "stop": stop, "pace": pace, "report": reported.append}
        thread = threading.Thread(target=ship, kwargs=arguments | {"log": SwitchLog(log, secret)}, daemon=True)
        thread.start()
        until(lambda awaited=awaited: [value for value in reported if isinstance(value, awaited)])
        stop.set()
        thread.join(20)
    assert "401" in next(value.why for value in reported if isinstance(value, Failed))
    first = next(value for value in reported if isinstance(value, Shipped))
    assert (first.records, first.from_log) == (3, 1) and Forged(1) in reported
    assert first.complete_to_ms is not None and abs(time.time() * 1000 - first.complete_to_ms) < 60_000
    assert len(running.records()) == 3
