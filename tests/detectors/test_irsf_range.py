"""Calls pumped into a range, and calls that only look like it."""

from __future__ import annotations

STORED: dict[str, dict[str, str]] = {}

