"""Settings: one file reads the environment, and what it knows is written down."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ringfence.secrets import load_or_make
from ringfence.settings import Settings, example

ROOT = Path(__file__).parents[2]


def test_the_example_names_every_setting():
    assert (ROOT / ".env.example").read_text() == example()


def test_the_example_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What it shows commented out is what holds when nothing is set."""
    env = tmp_path / ".env"
    env.write_text("".join(line.removeprefix("# ") for line in example().splitlines(True) if line.startswith("# RINGFENCE_")))
    monkeypatch.chdir(tmp_path)
    assert Settings() == Settings(_env_file=None)  # type: ignore[call-arg]


def test_a_child_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(home=tmp_path, tenant="acme", collector_port=0, snapshot_s=3.5)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == settings  # type: ignore[call-arg]


def test_a_setting_out_of_range_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RINGFENCE_COLLECTOR_PORT", "99999")
    with pytest.raises(ValueError, match="collector_port"):
        Settings()


def test_secrets_are_made_once_and_are_their_owners(tmp_path: Path):
    first = load_or_make(tmp_path / "state")
    assert load_or_make(tmp_path / "state") == first
    assert stat.S_IMODE((tmp_path / "state" / "secrets.json").stat().st_mode) == 0o600
    assert len({*[getattr(first, name) for name in first.__struct_fields__]}) == 5
