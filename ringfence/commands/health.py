"""`ringfence health`: whether the parts on this machine are healthy, for a supervisor that restarts them."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence import options
from ringfence.options import Home

EPILOG = """
The exit code is 0 if every part that was queried is healthy, and 1 otherwise. Without a name, every part that answers on this machine is queried,
and at least one must answer: in a container, that is the one that runs there.

**Examples**

`ringfence health`: for a container's health check

`ringfence health judge store --ready`: before a load balancer sends traffic
"""


def health(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Parts, as `ringfence flow` names them.", show_default=False)
    ] = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Check that a part does its work, not only that its main loop makes progress.")
    ] = False,
    home: Home = None,
) -> None:
    """Check whether the parts on this machine are alive (or, with --ready, at work)."""
    from ringfence.ops import ports
    from services import endpoints, part_health

    settings = options.settings_of(home)
    running = endpoints.running(settings.run_dir)
    known = running.parts if running else {}
    if not known:
        every = [*(ports.NUMBERS.keys() - {"judge"}), *settings.judge_names]
        known = {name: ports.url(settings.metrics_host, ports.port(settings.metrics_port, name)) for name in every}
    if unknown := sorted({*(names or ())} - known.keys()):
        raise typer.BadParameter(f"there is no part {unknown[0]!r} here; the parts are {', '.join(sorted(known))}")
    found = part_health.ask_all({name: url for name, url in known.items() if name in names} if names else part_health.listening(known))
    if not found:
        options.give_up(
            f"No part answers on this machine: tried {min(known.values())} and the ports after it (RINGFENCE_METRICS_PORT)."
        )
    healthy = {name: status.ready if ready else status.alive for name, status in found.items()}
    for name, status in sorted(found.items()):
        typer.echo(f"{name}: {'healthy' if healthy[name] else status.why}")
    raise typer.Exit(0 if all(healthy.values()) else 1)
