"""Files of calls, picked up by SFTP: what a server has is listed, what is new is copied whole, nothing is changed or removed there."""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import asyncssh

MOST_FILES = 100_000
MOST_BYTES = 4 << 30
SETTLE_S = 30
"""A file that was changed so short a time ago may still be written: the next run takes it."""
CHUNK = 1 << 20


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where files are picked up. `host_key`: the server's public key, as in known_hosts: without it nobody knows whose server it is. `sequence`: a
    pattern whose first group is the number in a file's name."""

    name: str
    host: str
    user: str
    host_key: str
    port: int = 22
    key_file: str = ""
    password_file: str = ""
    folder: str = "."
    pattern: str = "*"
    sequence: str = ""
    every: str = ""  # how often a file comes, such as 1h; "" = no such promise
    least_bytes: int = 1


class Picked(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read. `path` "" = it was not kept: its content is there under another name."""

    name: str
    size_bytes: int
    modified_ms: int
    sha256: str
    path: str


class PickUpError(Exception):
    """A server that cannot be read; the text says which, why, and what to do. `picked`: the files that were read before."""

    def __init__(self, text: str, picked: list[Picked]) -> None:
        super().__init__(text)
        self.picked = picked


def pick_up(
    source: Source, into: Path, known: Collection[tuple[str, int, int]], contents: Collection[str], now_ms: int
) -> list[Picked]:  # fmt: skip
    """Copies the files of a source that are new. `known`: (name, size, modified) of those that were picked up; `contents`: their hashes.

    Each is copied to `NAME.part`, synced and renamed: a crash leaves a part that the next run writes anew, or a file that it finds unchanged. A name
    that comes with other content is kept beside the first one. Raises `PickUpError`.
    """
    import asyncssh

    found: list[Picked] = []
    try:
        asyncio.run(_pick_up(source, into, frozenset(known), set(contents), now_ms, found))
    except asyncssh.HostKeyNotVerifiable:
        words = "shows another host key than the one of host_key: ask the carrier before you change it"
        raise PickUpError(f"{source.name}: {source.host} {words}", found) from None
    except asyncssh.PermissionDenied as wrong:
        words = f"refuses user {source.user} ({wrong.reason}): check key_file or password_file"
        raise PickUpError(f"{source.name}: {source.host} {words}", found) from None
    except asyncssh.SFTPError as wrong:
        raise PickUpError(f"{source.name}: {source.host}, folder {source.folder}: {wrong.reason}", found) from None
    except (OSError, asyncssh.Error, ValueError) as wrong:
        raise PickUpError(f"{source.name}: {source.host} cannot be read: {wrong}", found) from None
    return found


async def _pick_up(source: Source, into: Path, known: frozenset[tuple[str, int, int]], contents: set[str], now_ms: int, found: list[Picked]) -> None:
    import asyncssh

    keys = known_hosts(source)
    secret = Path(source.password_file).read_text().strip() if source.password_file else None
    into.mkdir(parents=True, exist_ok=True)
    async with asyncssh.connect(
        source.host, source.port, username=source.user, known_hosts=keys, client_keys=[source.key_file] if source.key_file else [],
        password=secret, config=None, agent_path=None, connect_timeout=30,
    ) as connection, connection.start_sftp_client() as sftp:  # fmt: skip
        entries = sorted(await sftp.readdir(source.folder), key=lambda one: (one.attrs.mtime or 0, str(one.filename)))
        if len(entries) > MOST_FILES:
            raise ValueError(f"folder {source.folder} has {len(entries):,} files, and {MOST_FILES:,} are read at most: name a pattern of new ones")
        for entry in entries:
            name, size, modified_ms = str(entry.filename), entry.attrs.size or 0, (entry.attrs.mtime or 0) * 1000
            is_file = entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR
            if not is_file or not fnmatch.fnmatch(name, source.pattern) or not is_plain(name) or (name, size, modified_ms) in known:
                continue
            if now_ms - modified_ms < SETTLE_S * 1000:
                continue
            if size > MOST_BYTES:
                raise ValueError(f"{name} has {size:,} bytes, and {MOST_BYTES:,} are read at most")
            part = into / f"{name}.part"
            sha256, read_bytes = await _copy(sftp, f"{source.folder}/{name}", part)
            path = _store_file(part, into / name, sha256, sha256 in contents)
            contents.add(sha256)
            found.append(Picked(name=name, size_bytes=read_bytes, modified_ms=modified_ms, sha256=sha256, path=path))


def known_hosts(source: Source) -> asyncssh.SSHKnownHosts:
    """The only key that the server may show. Raises `ValueError` where it is none."""
    import asyncssh

    try:
        asyncssh.import_public_key(source.host_key)
    except asyncssh.KeyImportError:
        raise ValueError(f"host_key {source.host_key[:40]!r} is no public key: it is written as ssh-ed25519 AAAA...") from None
    return asyncssh.import_known_hosts(f"* {source.host_key}")


def is_plain(name: str) -> bool:
    """Whether a server's name of a file is one that we write: no folder, nothing hidden.

    >>> [is_plain(name) for name in ("alpha_001.csv", "../alpha.csv", ".profile", "a/b", "")]
    [True, False, False, False, False]
    """
    return bool(name) and not name.startswith(".") and not re.search(r"[/\\\x00-\x1f]", name) and len(name) <= 200


async def _copy(sftp: object, remote: str, part: Path) -> tuple[str, int]:
    digest, count = hashlib.sha256(), 0
    async with sftp.open(remote, "rb") as source:  # type: ignore[attr-defined]
        with part.open("wb") as out:
            while block := await source.read(CHUNK):
                digest.update(block)
                out.write(block)
                count += len(block)
                if count > MOST_BYTES:
                    raise ValueError(f"{remote} has more than {MOST_BYTES:,} bytes")
            out.flush()
            os.fsync(out.fileno())
    return digest.hexdigest(), count


def _store_file(part: Path, wanted: Path, sha256: str, is_known: bool) -> str:
    """Where the file is kept, "" = its content is there already."""
    if wanted.exists() and _sha256(wanted) == sha256:  # a crash came between the copy and the books
        part.unlink()
        return str(wanted)
    if is_known:
        part.unlink()
        return ""
    if wanted.exists():
        wanted = wanted.with_name(f"{wanted.name}.{sha256[:8]}")
    part.replace(wanted)
    return str(wanted)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def number_of(source: Source, name: str) -> int | None:
    """The number in a file's name.

    >>> one = Source(name="alpha", host="h", user="u", host_key="k", sequence=r"_(\\d+)\\.csv$")
    >>> number_of(one, "alpha_0042.csv"), number_of(one, "alpha.csv")
    (42, None)
    """
    found = re.search(source.sequence, name) if source.sequence else None
    return int(found[1]) if found and found.groups() and found[1].isdigit() else None
