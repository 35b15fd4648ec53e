"""Deduplication of deliveries: the last sequence numbers of each boot of a switch, with a hash of the content of each.

A sequence belongs to a switch, not to a tenant: one switch serves many. A number older than the memory is `unrated`, never dropped.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import msgspec

from core import schemas

RING = 32_768
"""The sequence numbers that a partition remembers per boot, 16 bytes each."""

BOOTS = 16
"""The boots that a partition remembers per switch; of these the one that has been silent longest is forgotten first."""

FORGOTTEN = 4096
"""The further boots of which only the highest number is remembered: up to it their numbers are `unrated`, never counted twice."""

FOLLOWERS = 8
"""A sequence number more than a ring ahead of its boot's highest moves the ring only once so many numbers are near it: one faulty number must
not make all later ones too old."""

AHEAD = 64
"""The most such numbers that are remembered per boot."""


class Ring(msgspec.Struct):
    """The last sequence numbers of a boot with a hash of each one's content."""

    seqs: array  # type: ignore[type-arg]  # of int64; Python 3.11 knows no array[int] where a snapshot reads it
    hashes: array  # type: ignore[type-arg]
    top: int = -1
    ahead: dict[int, int] = {}  # sequence number -> hash, of numbers far ahead that have no followers yet


@dataclass
class Deliveries:
    """The deliveries of one partition. A key is switch and boot id, separated by 0x1f."""

    rings: dict[str, Ring] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)  # boot -> the highest number of its removed ring


def deliver(known: Deliveries, boot: str, seq: int, delivery: int) -> str:
    """Classify a delivery: new (""), new and far ahead ("leap"), a duplicate, a conflict, older than the memory ("old"), or one of too many
    that are far ahead ("crowd"). `boot`: switch and boot id, separated by 0x1f.

    >>> known = Deliveries()
    >>> [deliver(known, "k1\x1fb1", seq, 7) for seq in (1, 2**40, 2, 2**40, 2)]
    ['', 'leap', '', 'duplicate', 'duplicate']
    """
    ring = known.rings.pop(boot, None)
    if ring is None:
        ring = Ring(array("q", [-1]) * RING, array("q", [0]) * RING, ahead={})
        _make_room(known, boot)
    known.rings[boot] = ring  # the last one is the one that delivered most recently
    if 0 <= ring.top < seq - RING:
        return _far_ahead(ring, seq, delivery)
    slot = seq % RING
    if ring.seqs[slot] == seq:
        return schemas.DUPLICATE if ring.hashes[slot] == delivery else schemas.CONFLICT
    if (before := ring.ahead.pop(seq, None)) is not None:  # the ring has reached it in the ordinary way
        _put(ring, seq, before)
        return schemas.DUPLICATE if before == delivery else schemas.CONFLICT
    if seq <= ring.top - RING or seq <= known.forgotten.get(boot, -1):
        return "old"
    _put(ring, seq, delivery)
    return ""


def _put(ring: Ring, seq: int, delivery: int) -> None:
    ring.seqs[seq % RING], ring.hashes[seq % RING] = seq, delivery
    ring.top = max(ring.top, seq)


def _far_ahead(ring: Ring, seq: int, delivery: int) -> str:
    if seq in ring.ahead:
        return schemas.DUPLICATE if ring.ahead[seq] == delivery else schemas.CONFLICT
    around = sorted(other for other in ring.ahead if abs(other - seq) < RING // 2)
    if len(around) + 1 >= FOLLOWERS:  # the boot has moved on: the numbers between were lost, a gap that the warehouse reports
        for other in (*around, seq):
            _put(ring, other, ring.ahead.pop(other, delivery))
        return "leap"
    if len(ring.ahead) >= AHEAD:
        return "crowd"
    ring.ahead[seq] = delivery
    return "leap"


def _make_room(known: Deliveries, boot: str) -> None:
    """Remove a ring if the switch has `BOOTS` already; a switch never displaces the boots of another."""
    switch = boot.rpartition("\x1f")[0] + "\x1f"
    own = [other for other in known.rings if other.startswith(switch)]
    if len(own) < BOOTS:
        return
    gone = known.rings.pop(own[0]).top
    known.forgotten[own[0]] = max(gone, known.forgotten.pop(own[0], -1))
    if len(known.forgotten) > FORGOTTEN:
        del known.forgotten[next(iter(known.forgotten))]
