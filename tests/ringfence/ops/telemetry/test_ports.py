"""Where the parts of `up` answer: at the ports that are set, or where those are taken, at others in a row."""

from __future__ import annotations

import socket
from pathlib import Path

from ringfence.ops import embedded, ports
from ringfence.settings import Settings
from services import endpoints


def first_free() -> int:
    settings = Settings(metrics_port=0)
    return embedded.metrics_port(settings, set())


def test_the_configured_ports_are_used_if_they_are_free(tmp_path: Path):
    first = first_free()
    assert embedded.metrics_port(Settings(metrics_port=first, judges=3), set()) == first


def test_all_ports_move_if_one_is_in_use():
    first = first_free()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.port(first, "dispatcher")))
        taken.listen()
        other = embedded.metrics_port(Settings(metrics_port=first), set())
        assert other != first
        assert not any(endpoints.taken("127.0.0.1", ports.port(other, name)) for name in ports.NUMBERS)


def test_the_ports_of_our_other_services_are_left_free():
    first = first_free()
    assert embedded.metrics_port(Settings(metrics_port=first), {ports.port(first, "judge")}) != first


def test_several_judges_have_a_port_each():
    names = [*ports.NUMBERS.keys() - {"judge"}, *Settings(judges=9).judge_names]
    assert len({ports.port(8480, name) for name in names}) == len(names)
