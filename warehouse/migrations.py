"""The numbered files of `ddl/`, each applied once, in order, and recorded with its hash in the table `migrations`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from core.clock import wall_clock_ms
from warehouse.errors import WarehouseError
from warehouse.faults import explained
from warehouse.opening import DATABASE

DDL = Path(__file__).parent / "ddl"


class Migration(NamedTuple):
    version: int
    name: str
    sha256: str
    statements: tuple[str, ...]


def migrations(directory: Path = DDL) -> list[Migration]:
    """The migrations of the package, in order.

    >>> [m.version for m in migrations()][:4]
    [1, 2, 3, 4]
    """
    found = []
    for path in sorted(directory.glob("*.sql")):
        number = re.match(r"(\d{4})_", path.name)
        if not number:
            raise WarehouseError(f"{path.name} is not a migration's name: expected 0001_what.sql")
        found.append(Migration(int(number[1]), path.name, _hash(path.read_bytes()), _statements(path.read_text())))
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise WarehouseError(f"the migrations in {directory} are not numbered 1, 2, 3 ...: {[m.name for m in found]}")
    return found


def pending(client: Client, directory: Path = DDL) -> list[Migration]:
    """What `migrate` would apply. Raises `WarehouseError` if a newer release wrote the warehouse, or a file changed after it was applied."""
    with explained(client.uri):
        if not int(str(client.command(f"EXISTS TABLE {DATABASE}.migrations", use_database=False))):
            return migrations(directory)
        done = {
            int(v): (name, sha)
            for v, name, sha in client.query(f"SELECT version, name, sha256 FROM {DATABASE}.migrations").result_rows
        }
    known = migrations(directory)
    if ahead := sorted(done.keys() - {m.version for m in known}):
        raise WarehouseError(
            f"the warehouse at {client.uri} has migration {ahead[-1]} ({done[ahead[-1]][0]}), "
            "which this version of Ringfence does not know: it was written by a newer one"
        )
    for migration in known:
        if migration.version in done and done[migration.version][1] != migration.sha256:
            raise WarehouseError(
                f"{migration.name} was changed after it was applied to the warehouse at {client.uri}: "
                "put it back, and write the change as a new migration"
            )
    return [migration for migration in known if migration.version not in done]


def migrate(client: Client, directory: Path = DDL) -> list[str]:
    """Applies the pending migrations; returns their names. Repeating it does nothing. Raises as `pending`.

    A crash between a statement and its record repeats that file: each statement must allow it (IF NOT EXISTS, OR REPLACE).
    """
    with explained(client.uri):
        # Checked first: the user of an existing database may have no right to make one.
        if not int(str(client.command(f"EXISTS DATABASE {DATABASE}", use_database=False))):
            client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}", use_database=False)
        client.command(
            "CREATE TABLE IF NOT EXISTS migrations (version UInt32, name String, sha256 String, applied_ms Int64, "
            "applied_at DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(applied_ms, 'UTC')) "
            "ENGINE = ReplacingMergeTree ORDER BY version SETTINGS fsync_after_insert = 1"
        )
        applied = []
        for migration in pending(client, directory):
            for statement in migration.statements:
                client.command(statement)
            row = [migration.version, migration.name, migration.sha256, wall_clock_ms()]
            client.insert("migrations", [row], column_names=["version", "name", "sha256", "applied_ms"])
            applied.append(migration.name)
    return applied


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _statements(text: str) -> tuple[str, ...]:
    """A statement ends with a semicolon at the end of a line; a line that starts with -- is for people.

    >>> _statements("-- why; indeed\\nCREATE TABLE a\\n(b Int8);\\n\\nSELECT ';';\\n")
    ('CREATE TABLE a\\n(b Int8)', "SELECT ';'")
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return tuple(s for part in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)) if (s := part.strip()))
