"""`ringfence pickup`: files of calls, from where carriers and switches lay them out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from core.text import visible
from ringfence import messages, options
from ringfence.options import Home, Tenant, Who

EPILOG = """
The file lists the sources:

`- {name: alpha, host: sftp.alpha.example, user: ringfence, key_file: alpha.key, host_key: "ssh-ed25519 AAAA...", folder: out,`
`pattern: "*.csv", sequence: "_([0-9]+)[.]csv$", every: 1h, least_bytes: 200}`

Files are kept in `pickup/TENANT/SOURCE/` of the home, each once: the same again changes nothing, and a content that came under another name is noted
and not kept twice. Nothing is changed on the server. `ringfence controls` asks whether a file is missing, late, short, or there twice.

**Examples**

`ringfence pickup --sources sources.yaml`, from cron every ten minutes

`ringfence pickup --sources sources.yaml --only alpha`
"""


def pickup(
    sources: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The sources (YAML).", show_default=False)],
    only: Annotated[list[str] | None, typer.Option(help="Only this source; may be used several times.", show_default=False)] = None,
    who: Who = "",
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Pick up new files of calls by SFTP."""
    from services import pickups

    listed = pickups.sources_of(sources)
    if unknown := {*(only or ())} - {one.name for one in listed}:
        raise typer.BadParameter(f"no source {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in listed)}")
    failed, installation, name = False, options.settings_of(home).installation, options.login(who)
    for source in listed:
        if only and source.name not in only:
            continue
        try:
            found = pickups.run(installation, tenant, source, name, wall_clock_ms())
        except pickups.NotPickedUp as wrong:
            typer.secho(visible(str(wrong)), fg=typer.colors.RED, err=True)
            failed = True
            continue
        for one in found:
            where = one.path or "its content is there under another name, and is not kept twice"
            typer.echo(f"{source.name}: {visible(one.name)}, {one.size_bytes:,} bytes of {messages.date_time(one.modified_ms)}: {where}")
        typer.echo(f"{source.name}: {len(found)} new files.")
    if failed:
        raise typer.Exit(1)
