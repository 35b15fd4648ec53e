"""Size and age of a flow's snapshot file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ringfence.ops.telemetry import catalog
from ringfence.ops.telemetry.metrics import Sample


def samples(state_file: Path) -> Iterator[Sample]:
    """Size and age; nothing if there is no snapshot yet."""
    try:
        about = state_file.stat()
    except FileNotFoundError:
        return
    yield Sample(catalog.SNAPSHOT_BYTES, about.st_size)
    yield Sample(catalog.SNAPSHOT_AGE, max(0.0, time.time() - about.st_mtime))
