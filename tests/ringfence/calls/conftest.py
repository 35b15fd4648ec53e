"""One chain for all tests of this folder: started by the first, ended after the last."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "switches" / "kamailio"))

from real_chain import Chain, build

HERE = Path(__file__).parent
_chain: list[Chain] = []


@pytest.fixture
def chain(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], None]) -> Chain:
    """The chain, with every part running."""
    need("kamailio")
    need("sipp")
    if not _chain:
        _chain.append(build(tmp_path_factory.mktemp("chain")))
    _chain[0].start_all()
    return _chain[0]


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the chain before the tests of other folders."""
    if _chain and (nextitem is None or HERE not in nextitem.path.parents):
        _chain.pop().close()
