"""The spool of the simulated switch: a file of lines, as Kamailio's workers write it. The shipper posts them (`switches.shipper`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

FILE_BYTES = 64 << 20
"""Size at which the next file begins, so that delivered files can be removed."""


class Spool:
    """Appends lines to files in `home`, each between two newlines, so that a torn line never joins the next one. For one thread.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> with Spool(home, "1700000000.000000") as spool: spool.write([b"{}"])
    >>> [path.name for path in home.iterdir()], (home / "rec-1700000000.000000-1.jl").read_bytes()
    (['rec-1700000000.000000-1.jl'], b'\\n{}\\n')
    """

    def __init__(self, home: Path, boot_id: str, file_bytes: int = FILE_BYTES) -> None:
        self._home, self._boot_id, self._file_bytes = home, boot_id, file_bytes
        self._number, self._fd = 0, -1

    def write(self, lines: Sequence[bytes]) -> None:
        """Raises `OSError` where the disk is full; the lines may then be written again."""
        if not lines:
            return
        if self._fd < 0 or os.fstat(self._fd).st_size >= self._file_bytes:
            self._next()
        data = memoryview(b"".join(b"\n" + line + b"\n" for line in lines))
        while data:
            data = data[os.write(self._fd, data) :]

    def _next(self) -> None:
        self.close()
        self._number += 1
        path = self._home / f"rec-{self._boot_id}-{self._number}.jl"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
