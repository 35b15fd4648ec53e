"""The examples in the docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "books.audit", "books.credentials", "books.emergency", "books.engine", "books.lists", "switches.control", "switches.decide",
    "switches.answered", "switches.deliver", "switches.limits", "switches.loopback",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted and not results.failed
