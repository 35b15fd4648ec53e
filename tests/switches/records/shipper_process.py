"""A shipper in a process of its own, for the tests that kill it."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

from switches.shipper import Pace, ship

if __name__ == "__main__":
    ship(
        home=Path(sys.argv[1]),
        url=sys.argv[2],
        token=sys.argv[3],
        stop=Event(),
        pace=Pace(batch_bytes=8_000, retry_s=0.05, retry_max_s=0.2),
    )
