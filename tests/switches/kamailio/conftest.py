"""Switches for the tests that place real calls; makes `kamailio_calls` importable here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kamailio_calls import Bench, bench


@pytest.fixture
def new_bench(tmp_path: Path, need: Callable[[str], None]) -> Iterator[Callable[..., Bench]]:
    """Starts switches that end with the test: `new_bench(carriers=2)`."""
    need("kamailio")
    need("sipp")
    with ExitStack() as stack:
        enter: Callable[[AbstractContextManager[Bench]], Bench] = stack.enter_context

        def make(**changes: object) -> Bench:
            return enter(partial(bench, tmp_path)(**changes))  # type: ignore[arg-type]

        yield make
