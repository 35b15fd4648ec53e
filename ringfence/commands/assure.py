"""`ringfence assure`: the report that a finance director reads and signs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.options import Home, Json, Tenant

EPILOG = """
One page first: leakage found, prevented (found earlier in the period and mended since) and recovered (agreed on by the other side), how much was
checked, and the trend. Behind it every cause, every dispute, every bill that was compared, and every control, with what could not be checked.

**Examples**

`ringfence assure --period 2026-10 --out october.html --pdf october.pdf`
"""


def assure(
    period: Annotated[str, typer.Option(help="A month (2026-10), a day, or FIRST..LAST day, UTC.", show_default=False)],
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="The report as HTML.", show_default=False)] = None,
    pdf: Annotated[Path | None, typer.Option(dir_okay=False, help="The report as PDF.", show_default=False)] = None,
    as_it_is: Annotated[bool, typer.Option("--no-controls", help="Report what the controls last found, without asking them again.")] = False,
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Ask every control about a period, and report leakage, disputes and coverage."""
    import msgspec

    from services import assurance_page, assuring

    now_ms = wall_clock_ms()
    made = assuring.assure(options.settings_of(home).installation, tenant, period, now_ms, not as_it_is)
    if out is not None:
        out.write_text(assurance_page.as_html(made, now_ms))
    if pdf is not None:
        pdf.write_bytes(assurance_page.as_pdf(made, now_ms))
    if as_json:
        typer.echo(msgspec.json.encode(assuring.as_facts(made)).decode())
        return
    found = assurance_page.page(made, now_ms)
    for name, money, words in found["headline"]:
        typer.echo(f"{money:>18s} {found['currency']} {name}: {words}")
    for line in found["summary"]:
        typer.echo(line)
    for path in (out, pdf):
        if path is not None:
            typer.echo(f"Wrote {path}.")
