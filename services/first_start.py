"""Prepares a home before a start: directories, topics, the books at their newest revision, and at the first start a config.

Every step may be repeated; the next start finishes one that was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from books import configs, credentials, decks, lists, migrate, open_books, switches, tenants, writing
from core.config import Account, Carrier, Config, Trunk, path
from core.policy import Policy
from journal import create_topics, open_journal
from services import homes
from services.installation import Installation
from services.retention import journal_limits

WHO = "first start"


@dataclass(frozen=True)
class Start:
    """What a first start puts into the books: config, decks, currency and tenants."""

    config: Config
    decks: Mapping[str, bytes]
    currency: str
    tenants: tuple[str, ...]


def starter(tenant: str) -> Start:
    """For a switch on this machine: callers on it are the account `local`, the next hop is the carrier `next-hop`. The decks are two of the
    simulator's, which cover every country."""
    from simulator.decks import CURRENCY, deck_csv

    decks = {name: deck_csv(name) for name in ("sell-business", "buy-alpha")}
    config = Config(
        accounts=(Account(tenant=tenant, name="local", sell_deck="sell-business"),),
        carriers=(Carrier(tenant=tenant, name="next-hop", buy_deck="buy-alpha"),),
        trunks=(
            Trunk(tenant=tenant, name="loopback", account="local", sources=("127.0.0.0/8",)),
            Trunk(tenant=tenant, name="out", carrier="next-hop"),
        ),
    )
    return Start(config, decks, CURRENCY, (tenant,))


def simulated(seed: int, tenant: str) -> Start:
    """The simulator's world."""
    from simulator.live import live_world

    made = live_world(seed, (tenant,))
    return Start(made.config, made.decks, made.currency, tuple(made.tenants()))


def lay(installation: Installation) -> None:
    """The directories and the topics."""
    homes.restrict_umask()
    homes.make_private(installation.root)
    homes.mark(installation.root)
    for directory in (installation.state_dir, installation.spool_dir, installation.run_dir):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    create_topics(open_journal(installation.journal_dsn, journal_limits(installation.retention)), installation.partitions)
    homes.restrict_contents(installation.root)


def open_and_publish(installation: Installation, start: Start, now_ms: int) -> int:
    """Opens and migrates the books; at the first start publishes `start`. Returns the config version in force."""
    engine = open_books(installation.books_dsn)
    try:
        migrate(engine)
        with writing(engine) as conn:
            version = configs.latest(conn)
            if version == 0:
                for tenant in start.tenants:
                    tenants.add(conn, tenant, now_ms)
                lists.seed_emergency(conn, installation.countries, now_ms)
                deck_ids = {name: decks.add(conn, csv, start.currency, WHO, now_ms) for name, csv in start.decks.items()}
                protected = lists.protected(conn)
                config = msgspec.structs.replace(
                    start.config,
                    dial_plans=tuple(
                        msgspec.structs.replace(plan, tenant=tenant) for tenant in start.tenants for plan in start.config.dial_plans
                    ),
                    decks={path(tenant, name): deck_id for tenant in start.tenants for name, deck_id in deck_ids.items()},
                    policies=dict.fromkeys(start.tenants, start.config.policy),
                    policy=Policy(),
                    protected_numbers=protected.numbers,
                    protected_accounts=tuple(sorted(protected.accounts)),
                    protected_trunks=tuple(sorted(protected.trunks)),
                )
                version = configs.publish(conn, config, WHO, "a new installation", now_ms)
            return version
    finally:
        engine.dispose()


class Tokens(Protocol):
    """The tokens of a switch that `up` starts."""

    @property
    def control_token(self) -> str: ...
    @property
    def collector_token(self) -> str: ...


def connect_switch(
    installation: Installation, tokens: Tokens, name: str, kind: str, control_url: str, enforcing: bool | None, now_ms: int
) -> None:
    """Puts a switch that `up` starts into the books: its address, its credential, and all tenants. `enforcing` None = unchanged."""
    engine = open_books(installation.books_dsn)
    try:
        with writing(engine) as conn:
            switches.add(conn, name, kind, control_url, tokens.control_token, now_ms)
            every = tenants.every(conn)
            if every:
                credentials.add(conn, every, name, tokens.collector_token, ["127.0.0.0/8", "::1/128"], now_ms)
            for tenant in every:
                switches.serve(conn, name, tenant, now_ms)
                if enforcing is not None and switches.enforcing(conn, name, tenant) != enforcing:
                    switches.set_enforcing(conn, name, tenant, enforcing, WHO, "the demo's own switch on loopback", now_ms)
    finally:
        engine.dispose()
