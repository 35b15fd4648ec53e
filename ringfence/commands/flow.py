"""`ringfence flow NAME`: one part in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home
from ringfence.parts import PARTS

EPILOG = """
**Parts**

`collector` receives records over HTTP and appends them to the journal. `judge` prices calls and detects fraud; with RINGFENCE_JUDGES > 1 the
processes are `judge-1`, `judge-2` and so on. `watch` detects fraud that spans their partitions. `store` writes the results to the warehouse
and answers SELECT. `dispatcher` delivers block orders to the switches. `router` keeps the routes that they should hold.
`poster` moves charges into the ledger.
`notify` notifies people of alerts and of silence.
`api` and `redirect` answer switches that ask for routes, over HTTP and over SIP. `shipper` posts the records in the spool of a switch on this
machine.
`kamailio` runs a Kamailio with our configuration. `pages` is the page in the browser.

**Examples**

`ringfence flow judge --home /srv/ringfence`

Each part can be killed at any time and started again: it continues from its last snapshot. `ringfence up` runs them all.
"""


def flow(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(PARTS)}.", show_default=False)],
    home: Home = None,
) -> None:
    """Run one part in the foreground, until SIGTERM or Ctrl-C."""
    from ringfence import parts

    settings = options.settings_of(home)
    if name not in (known := parts.names(settings)):
        raise typer.BadParameter(f"there is no part {name!r}; the parts are {', '.join(known)}")
    parts.run(name, settings)
