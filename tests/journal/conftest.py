"""Each spelling of the journal under the same suite. A spelling is a function from a test to a journal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from journal import Journal, Limits, open_journal

FOR_EVER = Limits(retention_ms=None)
"""The suite's entries have times of 1970, and Kafka's retention goes by them."""


def files(request: pytest.FixtureRequest) -> Journal:
    tmp_path: Path = request.getfixturevalue("tmp_path")
    return open_journal(f"files://{tmp_path}/journal", FOR_EVER)


def kafka(request: pytest.FixtureRequest) -> Journal:
    dsn = request.getfixturevalue("broker").dsn(prefix=request.getfixturevalue("prefix"))
    return open_journal(dsn, FOR_EVER)


SPELLINGS: dict[str, Callable[[pytest.FixtureRequest], Journal]] = {"files": files, "kafka": kafka}


@pytest.fixture(params=["files", pytest.param("kafka", marks=pytest.mark.kafka)])
def journal(request: pytest.FixtureRequest) -> Journal:
    return SPELLINGS[request.param](request)
