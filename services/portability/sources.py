"""The source of ported numbers that a row of the config names."""

from __future__ import annotations

from pathlib import Path

from core.config import Portability
from services.portability.dip import Cached, Dip
from services.portability.enum import EnumDip
from services.portability.http import HttpDip
from services.portability.local import LocalDip, path_of


def source(row: Portability, state_dir: Path) -> Cached:
    """The source, with its cache."""
    return Cached(row, _dip(row, state_dir))


def _dip(row: Portability, state_dir: Path) -> Dip:
    if row.kind == "http":
        return HttpDip(row.url, row.timeout_ms)
    if row.kind == "enum":
        return EnumDip(row.zone, row.server, row.timeout_ms)
    return LocalDip(path_of(state_dir, row.tenant))
