"""The ported numbers of a tenant in a file: imported from a full dump and daily deltas, whole or not at all.

One import, in this order: read and check the file; write the new table beside the old one and sync it; rename. A crash before the rename
leaves the old table and a file `.new`, which the next import overwrites. The same delta twice changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rating.portability.dump import EMPTY, Finding, Table, changed, read
from services.errors import BadArgument


class Imported(NamedTuple):
    """What an import did."""

    numbers: int  # in the table now
    lines: int
    bad: int
    findings: tuple[Finding, ...]


def path_of(state_dir: Path, tenant: str) -> Path:
    """The file of a tenant's table."""
    return state_dir / "portability" / f"{tenant}.npz"


def import_file(file: Path, state_dir: Path, tenant: str, delta: bool) -> Imported:
    """Takes in a dump (the new table) or a delta (changes to it). Raises `BadArgument` where it is another file; then nothing is changed."""
    try:
        with file.open("rb") as lines:
            found = read(_bounded(lines), delta)
    except OSError as error:
        raise BadArgument(f"{file} cannot be read: {error.strerror}") from None
    kind = "delta" if delta else "dump"
    if found.is_refused or not found.lines:
        worst = "; ".join(f"line {one.line}: {one.why}" for one in found.findings[:5])
        raise BadArgument(f"{file} is not taken as a {kind}: {found.bad} of {found.lines} lines cannot be read. {worst}")
    path = path_of(state_dir, tenant)
    table = changed(load(path) if delta else EMPTY, {n: lrn for n, lrn in found.changes.items() if lrn or delta})
    store(path, table)
    return Imported(len(table), found.lines, found.bad, found.findings)


def _bounded(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (line[:1_000] for line in lines)


def load(path: Path) -> Table:
    """The table of a file; empty where there is none."""
    if not path.exists():
        return EMPTY
    with np.load(path) as parts:
        return Table(parts["codes"], parts["which"], tuple(parts["lrns"].tolist()))


def store(path: Path, table: Table) -> None:
    """Replaces the file, durably."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".npz.new")
    with new.open("wb") as out:
        np.savez(out, codes=table.codes, which=table.which, lrns=np.asarray(table.lrns, dtype="U18"))
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


class LocalDip:
    """The table in memory; a new file is read when it is there."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_ns, self._table = path, -1, EMPTY

    def ask(self, number: str) -> str:
        """As `services.portability.dip.Dip`."""
        written_ns = self._path.stat().st_mtime_ns if self._path.exists() else 0
        if written_ns != self._read_ns:
            self._table, self._read_ns = load(self._path), written_ns
        return self._table.find(number)
