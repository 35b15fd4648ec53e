"""Our own secrets: made once, at the first start, readable by their owner alone."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from pathlib import Path

import msgspec

from ringfence.settings import SECRETS, Settings


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """`hash_secret` keys the in-memory state, `dialog_secret` signs what travels in Record-Route: both must survive a restart."""

    collector_token: str
    warehouse_token: str
    control_token: str
    hash_secret: str
    dialog_secret: str
    pages_look_token: str
    pages_act_token: str


def secrets_of(settings: Settings) -> Secrets:
    """The secrets of an installation: those that were set, and for the rest those of its first start."""
    given = settings.given_secrets
    return Secrets(**given) if given.keys() == set(SECRETS) else msgspec.structs.replace(load_or_make(settings.state_dir), **given)


def load_or_make(state_dir: Path) -> Secrets:
    """The secrets of an installation. Two first starts at once agree: the second one reads what the first one wrote.

    One from before some secret was invented keeps what it has, and gets that one besides.
    """
    path = state_dir / "secrets.json"
    if not path.exists():
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = _draft(path, {})
        try:
            os.link(draft, path)  # refuses to replace
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    kept = _read(path)
    if kept.keys() < set(Secrets.__struct_fields__):
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of two that mend it, the second one finds it mended
            kept = _read(path)
            if kept.keys() < set(Secrets.__struct_fields__):
                os.replace(_draft(path, kept), path)
                kept = _read(path)
    return Secrets(**kept)


def _read(path: Path) -> dict[str, str]:
    found = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    return {name: value for name, value in found.items() if name in Secrets.__struct_fields__}


def _draft(path: Path, kept: dict[str, str]) -> Path:
    """A file beside it that has what is kept, and makes the rest."""
    made = Secrets(**{name: kept.get(name) or secrets.token_urlsafe(24) for name in Secrets.__struct_fields__})
    draft = path.with_name(f".secrets.{os.getpid()}.{threading.get_ident()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made), indent=1))
        file.flush()
        os.fsync(file.fileno())
    return draft
