"""A collector in a process of its own, for the tests that kill it. Prints its port as the first line."""

from __future__ import annotations

import sys
from pathlib import Path

from books.credentials import Credential
from journal import open_journal
from switches.collector import serve


def listening(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def main(home: Path, port: int) -> None:
    serve(
        journal=open_journal(f"files://{home}/journal"),
        spool=home / "spool",
        find_credential=lambda token: Credential(("t1",), "k1"),
        config_version=lambda: 1,
        port=port,
        listening=listening,
        tick_s=0.5,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
