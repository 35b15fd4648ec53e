"""One-time codes: `ringfence up` and `ringfence status` print one in an address, and addresses stay in a browser's history.

A code is a file in the installation's run folder, named by the code's hash and readable only by its owner. Taking a code removes the file: of
two browsers with the same code one gets in, even if the page restarts in between.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

LIFE_S = 3_600
"""Of an unused code."""
MAX_CODES = 4_096
"""Beyond that the oldest are removed. It is high enough for `ringfence status` once per second."""


def make(folder: Path, now_s: float) -> str:
    """A new code.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     code = make(Path(folder), now_s=1_000)
    ...     take(Path(folder), code, now_s=1_001), take(Path(folder), code, now_s=1_002), take(Path(folder), "guessed", now_s=1_002)
    (True, False, False)
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_old(folder, now_s)
    code = secrets.token_urlsafe(18)
    path = folder / _name(code)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.utime(path, (now_s, now_s))
    return code


def take(folder: Path, code: str, now_s: float) -> bool:
    """Whether the code is valid; it no longer is afterwards."""
    path = folder / _name(code)
    try:
        made_s = path.stat().st_mtime
        path.unlink()
    except FileNotFoundError:
        return False
    return now_s - made_s <= LIFE_S


def _remove_old(folder: Path, now_s: float) -> None:
    """Remove expired codes, and the oldest beyond the limit."""
    found: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        try:
            found.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue  # taken meanwhile
    found.sort()
    too_many = len(found) - MAX_CODES + 1
    for number, (made_s, path) in enumerate(found):
        if number < too_many or now_s - made_s > LIFE_S:
            path.unlink(missing_ok=True)


def _name(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
