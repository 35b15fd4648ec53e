"""`ringfence recycle`: calls that had no price get one after a fix."""

from __future__ import annotations

from typing import Annotated

import typer

from ringfence.commands import rerate
from ringfence.commands.rerate import Commit, From, To, Version, Yes, Zone
from ringfence.options import Home, Json, Tenant, Who, Why

EPILOG = """
**Examples**

A prefix was missing in a deck. Publish the fix, look at what it makes of September, and then charge it:

`ringfence recycle --from 2025-09-01 --to 2025-10-01`

`ringfence runs count 7 --why "prefix 49 was missing until the 9th"`

Records that an older release could not read: `ringfence recycle --rejects --from 2025-09-01 --to 2025-10-01`

Only what had no price for one reason: `ringfence recycle --from 2025-09-01 --to 2025-10-01 --reason "no rate for 49"`
"""


def recycle(
    from_: From,
    to: To,
    rejects: Annotated[bool, typer.Option("--rejects", help="Read the rejects again that arrived in the period.")] = False,
    reason: Annotated[str, typer.Option(help="Only calls, or rejects, whose record has this text in its reason.", show_default=False)] = "",
    zone: Zone = "UTC",
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

    Each keeps its first offset and is charged once, however often this is run; its record becomes rated. With --rejects: records that could not be
    read go through the decoder of this release again. What can be read now becomes what it would have been, and its call is priced. A call that
    ended otherwise meanwhile (closed as hung, or posted again) is left as it is, and named.
    """
    rerate.run(
        "rejects" if rejects else "recycle", from_, to, zone, commit=commit, yes=yes, why=why, who=who, as_json=as_json, home=home,
        wanted={"reason": reason, "version": config_version, "tenant": tenant},
    )  # fmt: skip
