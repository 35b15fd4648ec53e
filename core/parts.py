"""A config version as parts: a change makes one small new part, and versions share all parts that did not change.

A part contains rows of one kind and one tenant, split into buckets by a hash of their names: one agreement of 100,000 is stored with some
hundreds of others. A part is identified by the SHA-256 of its content (JSON with its rows sorted by name).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from core.config import ROWS, Config, path, split_path
from core.policy import Policy

BUCKETS = 256
"""Buckets of a tenant's rows of one kind. A storage format: another number would change every part."""


class ProtectedNames(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What no order of a tenant may touch, as of the version's publication."""

    numbers: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    trunks: tuple[str, ...] = ()


class Slot(NamedTuple):
    """The position of a part in a version: tenant ("" = every tenant), kind and bucket."""

    tenant: str
    kind: str  # a key of `TYPES`
    bucket: int = 0


TYPES: dict[str, Any] = {
    **{kind: tuple[row, ...] for kind, row in ROWS.items()},  # type: ignore[valid-type]
    "decks": dict[str, str],  # name -> id of the deck version
    "policy": Policy,
    "protected": ProtectedNames,
}
"""Kind of part -> type of its content."""

_DECODERS = {kind: msgspec.json.Decoder(of) for kind, of in TYPES.items()}


def bucket_of(name: str) -> int:
    """The bucket of a row's name.

    >>> bucket_of("acme"), bucket_of("blue")
    (62, 180)
    """
    return crc32(name.encode()) % BUCKETS


def slot_of(kind: str, row: Any) -> Slot:
    """The slot of the part that contains a row."""
    return Slot(row.tenant, kind, bucket_of(row.name))


def encode_part(content: Any) -> bytes:
    """The stored form of a part's content, with its rows sorted by name."""
    if isinstance(content, (list, tuple)):
        content = sorted(content, key=lambda row: row.name)
    return msgspec.json.encode(content, order="deterministic")


def decode_part(kind: str, data: bytes) -> Any:
    """The inverse of `encode_part`: rows as a tuple, else the one value of its kind."""
    return _DECODERS[kind].decode(data)


def hash_of(data: bytes) -> str:
    """The id of a part: SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def rows_of(config: Config) -> Iterable[tuple[str, Any]]:
    """Every row of a config with its kind."""
    return ((kind, row) for kind in ROWS for row in getattr(config, kind))


def split(config: Config) -> dict[Slot, Any]:
    """The contents of a config's parts: tuples of rows, and one value each of the other kinds. Empty content has no part.

    Self-registration is in no part: only a replay uses it, never a published version.

    >>> from core.config import Account
    >>> list(split(Config(accounts=(Account(tenant="t1", name="acme"),), decks={"t1/retail": "3f"})))
    [Slot(tenant='t1', kind='accounts', bucket=62), Slot(tenant='t1', kind='decks', bucket=0)]
    """
    rows: dict[Slot, list[Any]] = {}
    for kind, row in rows_of(config):
        rows.setdefault(slot_of(kind, row), []).append(row)
    parts: dict[Slot, Any] = {slot: tuple(sorted(found, key=lambda row: row.name)) for slot, found in rows.items()}
    for text, deck_id in config.decks.items():
        tenant, name = split_path(text)
        parts.setdefault(Slot(tenant, "decks"), {})[name] = deck_id
    if config.policy != Policy():
        parts[Slot("", "policy")] = config.policy
    parts |= {Slot(tenant, "policy"): policy for tenant, policy in config.policies.items()}
    protected: dict[str, dict[str, list[str]]] = {}
    for field in ("numbers", "accounts", "trunks"):
        for text in getattr(config, f"protected_{field}"):
            tenant, name = split_path(text)
            protected.setdefault(tenant, {}).setdefault(field, []).append(name)
    for tenant, names in protected.items():
        lists = {field: tuple(sorted(values)) for field, values in names.items()}
        parts[Slot(tenant, "protected")] = ProtectedNames(**lists)
    return parts


def join(version: int, parts: Mapping[Slot, Any]) -> Config:
    """The inverse of `split`; rows are sorted by tenant and name.

    >>> from core.config import Account
    >>> config = Config(version=3, accounts=(Account(tenant="t1", name="acme"), Account(tenant="t1", name="blue")))
    >>> join(3, split(config)) == config
    True
    """
    rows: dict[str, list[Any]] = {kind: [] for kind in ROWS}
    decks: dict[str, str] = {}
    policies: dict[str, Policy] = {}
    protected: dict[str, list[str]] = {"numbers": [], "accounts": [], "trunks": []}
    for slot, content in parts.items():
        if slot.kind in ROWS:
            rows[slot.kind].extend(content)
        elif slot.kind == "decks":
            decks |= {path(slot.tenant, name): deck_id for name, deck_id in content.items()}
        elif slot.kind == "policy":
            policies[slot.tenant] = content
        else:
            for field, names in protected.items():
                names.extend(path(slot.tenant, name) for name in getattr(content, field))
    found: dict[str, Any] = {kind: tuple(sorted(own, key=lambda row: (row.tenant, row.name))) for kind, own in rows.items()}
    found |= {f"protected_{field}": tuple(sorted(names)) for field, names in protected.items()}
    policy = policies.pop("", Policy())
    return Config(version=version, decks=dict(sorted(decks.items())), policy=policy, policies=dict(sorted(policies.items())), **found)
