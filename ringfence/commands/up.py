"""`ringfence up`: runs a whole installation in one terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
**Examples**

A demonstration with simulated traffic and a switch that refuses blocked calls (`make demo`):

`ringfence up --simulate --fresh --home var/demo`

With a Kamailio on this machine, between your softphone on port 5060 and what answers on port 5080:

`ringfence up --kamailio --sip-port 5060 --carrier 127.0.0.1:5080`

For switches of your own, which post to the collector: `ringfence up`
"""


def up(
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Add simulated traffic, and a switch that refuses blocked calls.")
    ] = False,
    kamailio: Annotated[
        bool, typer.Option("--kamailio", help="Add a Kamailio on this machine, in shadow until `ringfence enforce`.")
    ] = False,
    sip_port: Annotated[int | None, typer.Option(help="Kamailio's SIP port.  [default: 5060]", show_default=False)] = None,
    carrier: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Kamailio's next hop.  [default: 127.0.0.1:5080]", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated traffic.")] = 1,
    calls_per_s: Annotated[float, typer.Option(min=0.01, max=2_000, help="Simulated legitimate calls per second.")] = 5.0,
    attack_after_s: Annotated[float, typer.Option(min=0, help="When the simulated attack begins, in seconds.")] = 20.0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start with an empty home: the data of earlier runs is removed.")
    ] = False,
    home: Home = None,
) -> None:
    """Run all parts in this terminal, with embedded storage, until Ctrl-C.

    Each part is a process of its own: the collector, judge, watch, store, the dispatcher, the page, and a switch on request. A part that
    dies is started again. The page's address is printed first. Alerts with their reasons and block orders are printed as they
    occur, above a status line. Logs: home/run.
    """
    if simulate and kamailio:
        raise typer.BadParameter("use either --simulate or --kamailio")
    from ringfence.ops import embedded

    settings = options.settings_of(home, sip_port=sip_port, carrier=carrier)
    switch = (
        embedded.Simulated(seed, calls_per_s, attack_after_s) if simulate else embedded.RealSwitch() if kamailio else None
    )
    embedded.run(settings, switch, fresh=fresh)
