"""Which charges the ledger has: of live charges all up to an offset of each partition, and all of some rating runs."""

from __future__ import annotations

import msgspec


class Posted(msgspec.Struct, frozen=True):
    """A set of charges, by the position of the record that each was made for. It only grows, but for a run that is withdrawn.

    >>> text = Posted({0: 120, 1: 80}, (3,)).to_json()
    >>> text, Posted.of_json(text) == Posted({0: 120, 1: 80}, (3,))
    ('{"ends":{"0":120,"1":80},"runs":[3]}', True)
    """

    ends: dict[int, int] = {}  # partition -> the first record offset that is not in it
    runs: tuple[int, ...] = ()  # rating runs that count

    def to_json(self) -> str:
        return msgspec.json.encode(Posted(dict(sorted(self.ends.items())), self.runs)).decode()

    @classmethod
    def of_json(cls, text: str) -> Posted:
        return msgspec.json.decode(text, type=cls)


NOTHING = Posted()
