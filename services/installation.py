"""One installation for the services: the addresses of its stores and their retention. `ringfence.settings` builds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from books import Connection, Engine, open_books, reading, tenants, writing
from books.copying import sqlite_file
from core.topics import CALLS_PARTITIONS
from services.errors import NoInstallation, UnknownName


@dataclass(frozen=True)
class Retention:
    """How long each store keeps its rows. 0 = for ever, or without a bound."""

    journal_days: float = 7.0
    journal_partition_gb: float = 0.0
    drop_unread: bool = False  # at the bound of a partition: remove unread records instead of refusing new ones
    collector_spool_gb: float = 4.0
    switch_spool_hours: float = 24.0
    switch_spool_gb: float = 0.0
    records_days: int = 400
    calls_days: int = 0
    alerts_days: float = 400.0
    orders_days: float = 400.0


@dataclass(frozen=True)
class Installation:
    """`repr` shows no address, because it may hold a password.

    >>> Installation.embedded(Path("/srv/rf"))
    Installation(root=PosixPath('/srv/rf'), partitions=4, judges=1)
    """

    root: Path
    journal_dsn: str = field(repr=False)
    warehouse_dsn: str = field(repr=False)
    books_dsn: str = field(repr=False)
    spool_dir: Path = field(repr=False)  # where a switch on this machine writes its records
    # Where the embedded warehouse answers, unless `up` chose a port.
    warehouse_url: str = field(default="http://127.0.0.1:8471", repr=False)
    # Called when it is needed: the first start makes the token.
    warehouse_token: Callable[[], str] = field(default=lambda: "", repr=False)
    partitions: int = CALLS_PARTITIONS
    judges: int = 1
    tenant: str = field(default="t1", repr=False)  # the one that a first start makes
    countries: tuple[str, ...] = field(default=("*",), repr=False)  # whose emergency lines a first start protects; "*" = all
    retention: Retention = field(default=Retention(), repr=False)

    @classmethod
    def embedded(cls, root: Path) -> Installation:
        """All stores under one directory."""
        return cls(root, f"files://{root}/journal", f"chdb://{root}/warehouse", f"sqlite:///{root}/books.db", root / "spool")

    @property
    def state_dir(self) -> Path:
        """Snapshots of the flows, and the secrets."""
        return self.root / "state"

    @property
    def run_dir(self) -> Path:
        """Logs, and the addresses of running parts."""
        return self.root / "run"

    def judge_state(self, number: int) -> Path:
        """The state of judge process `number`, from 1.

        >>> Installation.embedded(Path("/srv/rf")).judge_state(1)
        PosixPath('/srv/rf/state/judge.state')
        """
        return self.state_dir / ("judge.state" if self.judges == 1 else f"judge-{number}-of-{self.judges}.state")

    @property
    def judge_states(self) -> list[Path]:
        """The states of all judge processes, in their order."""
        return [self.judge_state(number) for number in range(1, self.judges + 1)]

    @property
    def has_books(self) -> bool:
        """Whether an installation was ever started here. Books on a server are assumed to exist."""
        file = sqlite_file(self.books_dsn)
        return file is None or file.exists()


@contextmanager
def opened_books(installation: Installation) -> Iterator[Engine]:
    """The books of an installation, opened. Raises `NoInstallation` if there are none."""
    if not installation.has_books:
        raise NoInstallation(f"There are no books under {installation.root}: start `ringfence up` once, or name the --home.")
    engine = open_books(installation.books_dsn)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def books(installation: Installation) -> Iterator[Connection]:
    """The books of an installation, in one transaction. Raises `NoInstallation` if there are none."""
    with opened_books(installation) as engine, writing(engine) as conn:
        yield conn


@contextmanager
def books_as_they_are(installation: Installation) -> Iterator[Connection]:
    """As `books`, for reading alone: one view of them that waits for no writer, and that no writer waits for, however long it takes."""
    with opened_books(installation) as engine, reading(engine) as conn:
        yield conn


def tenant_of(conn: Connection, name: str) -> str:
    """The tenant of this name; for "" the only one. Raises `UnknownName`."""
    known = tenants.every(conn)
    if name and name not in known:
        raise UnknownName(f"There is no tenant {name!r}; there are: {', '.join(known) or 'none'}.")
    if not name and len(known) != 1:
        raise UnknownName(f"Which --tenant? There are: {', '.join(known) or 'none'}.")
    return name or known[0]
