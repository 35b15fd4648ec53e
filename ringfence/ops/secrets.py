"""Our own secrets: generated at the first start, readable only by their owner."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

import msgspec

from ringfence.settings import SECRETS, Settings
from services.errors import ServiceError


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """`hash_secret` keys the state of judge, `dialog_secret` signs the mark in Record-Route: both must survive a restart."""

    collector_token: str
    warehouse_token: str
    control_token: str
    hash_secret: str
    dialog_secret: str
    pages_look_token: str
    pages_act_token: str


def secrets_of(settings: Settings) -> Secrets:
    """The secrets of an installation: from the settings, else those of its first start."""
    configured = settings.configured_secrets
    if configured.keys() == set(SECRETS):
        return Secrets(**configured)
    return msgspec.structs.replace(load_or_make(settings.state_dir), **configured)


def load_or_make(state_dir: Path) -> Secrets:
    """The generated secrets. Of two first starts at once, the second reads what the first wrote."""
    path = state_dir / "secrets.json"
    if not path.exists():
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".secrets.{os.getpid()}.{threading.get_ident()}")
        made = Secrets(**{name: secrets.token_urlsafe(24) for name in Secrets.__struct_fields__})
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(made), indent=1))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails if the file exists
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except msgspec.DecodeError as error:
        raise ServiceError(f"{path} is damaged ({error}): restore it from a backup, or move it away to generate new secrets.") from None
