"""Codes that open the page once: what `ringfence up` and `ringfence status` print stands in an address, and so in a browser's history.

A code is a file of its owner's in the installation's run folder, named by the code's hash. Taking one removes it: of two who come with the
same code one gets in, also over a restart of the page.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

LASTS_S = 3_600
"""How long a code that nobody has used is good."""
MOST = 4_096
"""More than that, and the oldest are taken back: whoever asks for the status each second in a loop takes nobody's code away."""


def make(folder: Path, now_s: float) -> str:
    """A new code.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     code = make(Path(folder), now_s=1_000)
    ...     take(Path(folder), code, now_s=1_001), take(Path(folder), code, now_s=1_002), take(Path(folder), "guessed", now_s=1_002)
    (True, False, False)
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _take_back(folder, now_s)
    code = secrets.token_urlsafe(18)
    path = folder / _name(code)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.utime(path, (now_s, now_s))
    return code


def take(folder: Path, code: str, now_s: float) -> bool:
    """Whether the code is good. It is not any more."""
    path = folder / _name(code)
    try:
        made_s = path.stat().st_mtime
        path.unlink()
    except FileNotFoundError:
        return False
    return now_s - made_s <= LASTS_S


def _take_back(folder: Path, now_s: float) -> None:
    """Removes what is too old, and the oldest of too many."""
    kept: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        try:
            kept.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue  # taken meanwhile
    kept.sort()
    too_many = len(kept) - MOST + 1
    for number, (made_s, path) in enumerate(kept):
        if number < too_many or now_s - made_s > LASTS_S:
            path.unlink(missing_ok=True)


def _name(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
