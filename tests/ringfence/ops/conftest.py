"""A supervisor and what it reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ringfence.ops.supervisor import Supervisor


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def supervisor(reports: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(reports.append)
    yield made
    made.stop()
