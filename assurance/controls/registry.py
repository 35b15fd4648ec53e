"""The controls of this folder, found by reflection: each module of it that has a `CONTROL`."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

import assurance.controls as folder
from assurance.controls.protocol import Control


@cache
def controls() -> tuple[Control, ...]:
    """All of them, by name.

    >>> "unbilled_calls" in {one.name for one in controls()}
    True
    """
    modules = [import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)]
    found = [module.CONTROL for module in modules if hasattr(module, "CONTROL")]
    return tuple(sorted(found, key=lambda one: one.name))
