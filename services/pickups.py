"""Picks up the files of carriers and switches, and remembers them.

Order: a file is copied whole, then one transaction remembers it. A crash between leaves the file; the next run finds it unchanged and remembers it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from books import audit, picked_files, reading, writing
from books.picked_files import PickedFile
from core import durations
from services import files
from services.errors import BadArgument, ServiceError
from services.installation import Installation, opened_books, tenant_of
from switches.sftp import Picked, PickUpError, Source, is_plain, known_hosts, number_of, pick_up


class NotPickedUp(ServiceError):
    """A server could not be read; what came before it is kept."""


def sources_of(path: Path) -> list[Source]:
    """The sources that a YAML file lists. Raises `BadArgument` with the place of a fault."""
    try:
        content = yaml.safe_load(files.read(path, files.CONFIG_BYTES).decode("utf-8-sig"))
        found = msgspec.convert(content, list[Source])
    except (msgspec.ValidationError, yaml.YAMLError, UnicodeDecodeError, OSError) as wrong:
        raise BadArgument(f"{path}: {wrong}") from None
    for one in found:
        if not is_plain(one.name):
            raise BadArgument(f"{path}: name {one.name!r} is the name of a folder here: letters and digits")
        try:
            durations.to_ms(one.every) if one.every else 0
        except ValueError as wrong:
            raise BadArgument(f"{path}: {one.name}: every: {wrong}") from None
        try:
            known_hosts(one)
        except ValueError as wrong:
            raise BadArgument(f"{path}: {one.name}: {wrong}") from None
    return found


def run(installation: Installation, tenant: str, source: Source, who: str, now_ms: int) -> list[PickedFile]:
    """Picks up what is new at a source, into `pickup/TENANT/SOURCE/` of the home. Raises `NotPickedUp`."""
    with opened_books(installation) as engine:
        with reading(engine) as conn:
            tenant = tenant_of(conn, tenant)
            before = picked_files.every(conn, tenant, source.name)
        known = {(one.name, one.size_bytes, one.modified_ms) for one in before}
        failed = ""
        try:
            picked = pick_up(source, installation.root / "pickup" / tenant / source.name, known, {one.sha256 for one in before}, now_ms)
        except PickUpError as wrong:
            failed, picked = str(wrong), wrong.picked
        rows = [_row(tenant, source, one, now_ms) for one in picked]
        with writing(engine) as conn:
            for row in rows:
                picked_files.add(conn, row)
            if rows:
                audit.note(conn, who, "picked up files", f"{tenant}/{source.name}", f"{len(rows)} files", now_ms)
    if failed:
        raise NotPickedUp(failed)
    return rows


def _row(tenant: str, source: Source, one: Picked, now_ms: int) -> PickedFile:
    number = number_of(source, one.name)
    return PickedFile(
        tenant=tenant, source=source.name, name=one.name, sha256=one.sha256, size_bytes=one.size_bytes, modified_ms=one.modified_ms,
        number=-1 if number is None else number, path=one.path, every_ms=int(durations.to_ms(source.every)) if source.every else 0,
        least_bytes=source.least_bytes, at_ms=now_ms,
    )  # fmt: skip
