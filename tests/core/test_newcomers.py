"""Which connection is closed at a limit: never an authenticated one, a silent one before one that has sent a request."""

from __future__ import annotations

import pytest

from core.newcomers import Newcomers, plain_address, source_of


def newcomers_of(most: int = 4, of_source: int = 2, patience_s: float = 10.0) -> Newcomers[str]:
    return Newcomers(most, of_source, patience_s)


def test_a_source_at_its_limit_closes_its_own_oldest_connection():
    newcomers = newcomers_of()
    for at, (name, address) in enumerate([("x1", "10.0.0.9"), ("a1", "10.0.0.1"), ("a2", "10.0.0.1")]):
        assert newcomers.arrive(name, address, at) is None
    assert newcomers.arrive("a3", "10.0.0.1", 3) == "a1"
    assert newcomers.arrive("a4", "10.0.0.1", 4) == "a2"
    assert len(newcomers) == 3


def test_when_all_places_are_taken_the_source_that_holds_the_most_makes_room():
    newcomers = newcomers_of(most=3)
    for at, (name, address) in enumerate([("b1", "10.0.0.2"), ("a1", "10.0.0.1"), ("a2", "10.0.0.1")]):
        assert newcomers.arrive(name, address, at) is None
    assert newcomers.arrive("c1", "10.0.0.3", 3) == "a1"
    assert len(newcomers) == 3


def test_a_silent_one_goes_before_one_that_has_asked_however_old():
    newcomers = newcomers_of()
    newcomers.arrive("asks", "10.0.0.1", 0)
    newcomers.ask("asks")
    newcomers.arrive("silent", "10.0.0.1", 1)
    assert newcomers.arrive("new", "10.0.0.1", 2) == "silent"
    newcomers.ask("new")
    assert newcomers.arrive("newer", "10.0.0.1", 3) == "asks", "where all have asked, the oldest"


def test_asking_twice_or_by_a_stranger_changes_nothing():
    newcomers = newcomers_of()
    newcomers.ask("nobody")
    newcomers.arrive("a1", "10.0.0.1", 0)
    newcomers.arrive("a2", "10.0.0.1", 1)
    for _ in range(2):
        newcomers.ask("a1")
    newcomers.ask("a2")
    assert newcomers.arrive("a3", "10.0.0.1", 2) == "a1"


def test_an_authenticated_connection_is_never_closed_and_not_counted():
    newcomers = newcomers_of(most=2, of_source=1)
    newcomers.arrive("trusted", "10.0.0.1", 0)
    newcomers.leave("trusted")
    newcomers.leave("trusted")
    assert len(newcomers) == 0 and newcomers.overdue(1000) == []
    assert newcomers.arrive("a1", "10.0.0.1", 1) is None


def test_a_name_that_comes_again_is_one_connection():
    newcomers = newcomers_of(of_source=1)
    newcomers.arrive("a", "10.0.0.1", 0)
    assert newcomers.arrive("a", "10.0.0.1", 5) is None and len(newcomers) == 1
    assert newcomers.overdue(14.9) == [] and newcomers.overdue(15.0) == ["a"], "its patience begins anew"


def test_patience_ends_at_its_second_and_for_the_oldest_alone():
    newcomers = newcomers_of(of_source=9)
    for at, name in enumerate("abc"):
        newcomers.arrive(name, "10.0.0.1", float(at))
    assert newcomers.overdue(9.9) == []
    assert newcomers.overdue(11.0) == ["a", "b"]
    assert len(newcomers) == 1 and newcomers.overdue(11.5) == []


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::5", "2001:db8:0:2::/64"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("unix socket", "unix socket"),
    ],
)
def test_one_line_is_one_source(address: str, source: str):
    assert source_of(address) == source


def test_an_address_has_one_spelling():
    assert {plain_address(text) for text in ("FE80::1%eth0", "fe80:0::1", "fe80::1%1")} == {"fe80::1"}


def test_of_sources_with_as_many_connections_a_silent_one_is_closed_first_and_then_the_oldest():
    newcomers = newcomers_of(most=3)
    for at, (name, address) in enumerate([("a1", "10.0.0.1"), ("b1", "10.0.0.2"), ("c1", "10.0.0.3")]):
        newcomers.arrive(name, address, at)
    newcomers.ask("a1")
    assert newcomers.arrive("d1", "10.0.0.4", 3) == "b1"
    assert newcomers.arrive("e1", "10.0.0.5", 4) == "c1"
    newcomers.leave("a1")
    newcomers.arrive("a1", "10.0.0.1", 5)
    assert newcomers.arrive("f1", "10.0.0.6", 6) == "d1", "one that comes again is silent and new"
    assert newcomers.arrive("a2", "10.0.0.1", 7) == "e1" and newcomers.arrive("g1", "10.0.0.7", 8) == "a1"
