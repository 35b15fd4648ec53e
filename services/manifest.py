"""The manifest of a backup: the release that made it, its content, and the hash of every file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from services import files
from services.errors import ServiceError

NAME = "manifest.json"
FORMAT = 2


class WrongBackup(ServiceError):
    """The directory is no backup, or was changed since; the message has the reason."""


class File(msgspec.Struct, frozen=True):
    """The size and hash of a file."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`elsewhere`: part -> address, of the parts that are not in this backup. `ends`: topic -> the end of each partition, if the journal
    is in it."""

    format: int = FORMAT
    ringfence: str
    layout: int  # version of the layout of judge's state
    made_ms: int
    home: str
    elsewhere: dict[str, str]
    ends: dict[str, dict[int, int]]
    files: dict[str, File]


def about(root: Path) -> dict[str, File]:
    """Every file below `root` except the manifest, by its path.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "a").write_text("abc")
    >>> about(root)["a"].bytes, about(root)["a"].sha256[:8]
    (3, 'ba7816bf')
    """
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path != root / NAME:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(root).as_posix()] = File(path.stat().st_size, digest)
    return found


def read(root: Path) -> Manifest:
    """The manifest of a backup that this release can restore."""
    try:
        data = files.read(root / NAME, files.CONFIG_BYTES)
    except FileNotFoundError:
        raise WrongBackup(f"{root} is no backup: it has no {NAME}") from None
    except OSError as error:
        raise WrongBackup(f"{root} cannot be read: {error.strerror}") from error
    try:
        form = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("format", msgspec.Raw(b"0"))
        if (number := msgspec.json.decode(form, type=int)) != FORMAT:
            raise WrongBackup(f"{root / NAME} has format {number}, this release reads {FORMAT}: use the release that made it")
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WrongBackup(f"{root / NAME} is damaged: {error}") from error


def compare(root: Path, manifest: Manifest) -> None:
    """Raises `WrongBackup` if a file was changed, is missing or was added."""
    there = about(root)
    for name, file in manifest.files.items():
        if name not in there:
            raise WrongBackup(f"{root / name} is missing: the backup is not whole")
        if there[name] != file:
            what = f"has {there[name].bytes} bytes, not {file.bytes}" if there[name].bytes != file.bytes else "has another hash"
            raise WrongBackup(f"{root / name} {what}: it was changed or damaged since the backup was made")
    if more := sorted(there.keys() - manifest.files.keys()):
        raise WrongBackup(f"{root / more[0]} was not part of the backup ({len(more)} such files): move them away")
