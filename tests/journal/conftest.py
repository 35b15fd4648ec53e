"""Each spelling of the journal under the same suite. A spelling is a function from a home directory to a journal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from journal import Journal, open_journal


def files(home: Path) -> Journal:
    return open_journal(f"files://{home}")


SPELLINGS: dict[str, Callable[[Path], Journal]] = {"files": files}


@pytest.fixture(params=sorted(SPELLINGS))
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return SPELLINGS[request.param](tmp_path / "journal")
