"""What the page gets from whoever starts it: addresses and tokens. It reads no environment and no file of settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PageSettings:
    """Addresses may hold passwords, and a token is one: none of them is shown.

    >>> PageSettings(home="/srv/rf", look="l", act="a", warehouse="http://reader:secret@127.0.0.1:8471", books="", journal="")
    PageSettings(home='/srv/rf', parts={}, port=8473)
    """

    home: str  # whose last word is the installation's name
    warehouse: str = field(repr=False)
    books: str = field(repr=False)
    journal: str = field(repr=False)
    look: str = field(repr=False)  # the token to look
    act: str = field(repr=False)  # the token to act, and to see whole numbers
    parts: Mapping[str, str] = field(default_factory=dict)  # name -> base URL of its /health and /ready
    host: str = "127.0.0.1"
    port: int = 8473
    proxies: tuple[str, ...] = ()  # whose X-Forwarded-For and -Proto count
    codes: Path | None = None  # the folder of codes that let in once
    names: tuple[str, ...] = ()  # under which a browser may reach the page, besides loopback

    def __repr__(self) -> str:
        return f"PageSettings(home={self.home!r}, parts={dict(self.parts)!r}, port={self.port})"
