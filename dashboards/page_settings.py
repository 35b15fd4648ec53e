"""The settings of the page: addresses and tokens, from its caller. The page reads no environment and no settings file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashboards.access import session_key
from dashboards.oidc import Provider


@dataclass(frozen=True)
class PageSettings:
    """Addresses may contain passwords: `repr` shows no address and no token.

    >>> PageSettings(home="/srv/rf", look="l", act="a", warehouse="http://reader:secret@127.0.0.1:8471", books="", journal="")
    PageSettings(home='/srv/rf', parts={}, port=8473)
    """

    home: str  # its last component is the installation's name
    warehouse: str = field(repr=False)
    books: str = field(repr=False)
    journal: str = field(repr=False)
    look: str = field(repr=False)  # the view token
    act: str = field(repr=False)  # the token to act and to see full numbers
    parts: Mapping[str, str] = field(default_factory=dict)  # name -> base URL of its /health and /ready
    host: str = "127.0.0.1"
    port: int = 8473
    proxies: tuple[str, ...] = ()  # whose X-Forwarded-For and -Proto are trusted
    codes: Path | None = None  # the folder of one-time codes
    oidc: Provider | None = None  # None = people sign in with passwords alone
    names: tuple[str, ...] = ()  # host names under which the page is served, besides loopback

    @property
    def cookie(self) -> str:
        """The name of the session's cookie. Browsers send cookies to every port of a machine, so each installation has its own."""
        return f"ringfence_look_{self.port}"

    @property
    def key(self) -> bytes:
        """What signs the sessions."""
        return session_key(self.look, self.act)

    def __repr__(self) -> str:
        return f"PageSettings(home={self.home!r}, parts={dict(self.parts)!r}, port={self.port})"
