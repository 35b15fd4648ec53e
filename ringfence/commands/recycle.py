"""`ringfence recycle`: calls that had no price get one after a fix."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.commands import rerate
from ringfence.commands.rerate import Commit, From, To, Version, Yes
from ringfence.options import Home, Json, Tenant, Who, Why

EPILOG = """
**Examples**

A prefix was missing in a deck. Publish the fix, look at what it makes of September, and then charge it:

`ringfence recycle --from 2025-09-01 --to 2025-10-01`

`ringfence runs count 7 --why "prefix 49 was missing until the 9th"`

Only what had no price for one reason: `ringfence recycle --from 2025-09-01 --to 2025-10-01 --reason "no rate for 49"`
"""


def recycle(
    from_: From,
    to: To,
    reason: Annotated[str, typer.Option(help="Only calls whose record says this in its reason.", show_default=False)] = "",
    config_version: Version = 0,
    commit: Commit = False,
    yes: Yes = False,
    why: Why = "",
    who: Who = "",
    as_json: Json = False,
    tenant: Tenant = "",
    home: Home = None,
) -> None:
    """Price the calls that had no price (a missing prefix, an unknown account or carrier) by the config in force.

    Each keeps its first offset and is charged once, however often this is asked for; its record becomes rated. Records that were no call at all
    (rejects, stops without an answer time) are not touched: no price list mends them.
    """
    rerate.run(
        "recycle", from_, to, commit=commit, yes=yes, why=why, who=who, as_json=as_json, home=home,
        wanted={"reason": reason, "version": config_version, "tenant": tenant},
    )  # fmt: skip
