"""The table of admission cases, with real INVITEs through Kamailio."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kamailio_calls import Bench, Source
from raw_sip import Phone, reply

sys.path.insert(0, str(Path(__file__).parents[2] / "core"))

from admission_cases import CASES, PARTIES, PLANS

from switches.control import Change

pytestmark = pytest.mark.kamailio

PASSED = 486  # what the carrier answers here: whoever hears it was let in


@contextmanager
def busy_carrier(port: int) -> Iterator[list[str]]:
    """A carrier that answers every INVITE with 486, and the users of their Request-URIs."""
    called: list[str] = []
    stop = threading.Event()

    def run(phone: Phone) -> None:
        while not stop.is_set():
            try:
                message, sender = phone.receive(0.2)
            except TimeoutError:
                continue
            if found := re.match(rb"INVITE (\S+?)(?:@\S+)? SIP", message):
                called.append(found[1].decode().partition(":")[2].replace("%23", "#"))
                phone.send(reply(message, PASSED, "Busy Here"), sender)

    with Phone("127.0.0.1", port) as phone:
        thread = threading.Thread(target=run, args=(phone,))
        thread.start()
        try:
            yield called
        finally:
            stop.set()
            thread.join()


def test_the_table_of_cases_is_kept_by_kamailio(new_bench: Callable[..., Bench]) -> None:
    sources = tuple(
        Source(p.address, "t1", p.account, p.trunk, p.plan, caller_ranges=p.caller_ranges, accept_unreadable=p.accept_unreadable)
        for p in PARTIES.values()
        if p.account
    )
    bench = new_bench(sources=sources, dial_plans=tuple(PLANS.values()), workers=4)
    wrong = []
    with busy_carrier(bench.carrier_ports[0]) as called:
        for case in CASES:
            fill(bench, case)
            for call in case["calls"]:
                del called[:]
                code = final_code(bench, call)
                sent = called[0] if called else None
                expected = (call["code"] or PASSED, call["sent"])
                if (code, sent) != expected:
                    wrong.append((case["what"], call, code, sent))
    assert not wrong, "\n".join(map(str, wrong))


def fill(bench: Bench, case: dict[str, dict[str, str]]) -> None:
    """Sets the switch's tables to those of the case."""
    control = bench.control()
    for table in ("lists", "blocks", "shadow", "protected"):
        control.apply([Change(table, name, "", 0) for name in control.entries(table)])
        control.apply([Change(table, key, value, 0 if table in ("lists", "protected") else 600) for key, value in case.get(table, {}).items()])
    control.close()


def final_code(bench: Bench, call: dict[str, str]) -> int:
    with Phone(PARTIES[call["from"]].address) as phone:
        from_value = f"<sip:{call['a']}@x>".encode()
        user = call["b"].replace(" ", "%20").replace("#", "%23")
        uri = f"sip:{user}@{bench.address[0]}:{bench.address[1]}".encode()
        phone.send(phone.invite("", to=bench.address, from_value=from_value, uri=uri), bench.address)
        return phone.final()
