"""The next offset of each reader of a partition: one small file per reader beside the segments. Retention removes nothing that one of them
still has to read.

    DIR/TOPIC/3/readers/judge     the offset from which this reader would read on after a crash, in decimal digits

A reader writes its mark after its own state is durable, so a mark is never ahead of what the reader may still need. A reader that has
never run has no mark, and retention does not wait for it. A mark that cannot be read counts as 0: nothing is removed until its reader
writes it again, or a person removes it.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from journal.durable import replace_file, sync_directory
from journal.protocol import JournalError

_READER = re.compile(r"[a-z][a-z0-9-]{0,62}")
_log = logging.getLogger(__name__)


def directory(part: Path) -> Path:
    return part / "readers"


def set_mark(part: Path, reader: str, offset: int) -> None:
    """Records that `reader` needs nothing below `offset` any more.

    >>> import tempfile
    >>> part = Path(tempfile.mkdtemp())
    >>> set_mark(part, "judge", 12); set_mark(part, "audit-copy", 7); marks(part)
    {'audit-copy': 7, 'judge': 12}
    >>> remove_mark(part, "audit-copy"), remove_mark(part, "audit-copy"), marks(part)
    (True, False, {'judge': 12})
    """
    if not _READER.fullmatch(reader):
        raise JournalError(f"{reader!r} is not a reader's name (lower-case letters, digits, -, at most 63)")
    try:
        if not directory(part).is_dir():
            directory(part).mkdir(mode=0o700, exist_ok=True)
            sync_directory(part)
        replace_file(directory(part) / reader, str(offset).encode())
    except OSError as error:
        raise JournalError(f"cannot write how far {reader} has read {part}: {error}") from error


def remove_mark(part: Path, reader: str) -> bool:
    """Removes the mark of a reader; returns whether it had one."""
    try:
        (directory(part) / reader).unlink()
    except FileNotFoundError:
        return False
    return True


def marks(part: Path) -> dict[str, int]:
    """Reader -> the offset that it reads next."""
    try:
        names = sorted(os.listdir(directory(part)))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise JournalError(f"cannot list the readers of {part}: {error}") from error
    found = {}
    for name in names:
        if not _READER.fullmatch(name):
            continue  # a temporary file that a crash left, or a stray file
        path = directory(part) / name
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            continue  # a person has removed it meanwhile
        except OSError as error:
            text = b""
            _log.warning("%s cannot be read, so retention waits for this reader: %s", path, error)
        if re.fullmatch(rb"\d{1,18}", text):
            found[name] = int(text)
        else:
            found[name] = 0
            _log.warning("%s holds no offset, so retention waits for this reader until it has written it again", path)
    return found
