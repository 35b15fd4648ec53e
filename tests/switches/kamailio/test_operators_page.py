"""The examples of docs/operators.md are accepted by the code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from switches.kamailio.__main__ import read_settings
from switches.kamailio.process import render

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operators.md").read_text()


def shown_settings() -> str:
    found = re.search(r"```json\n(.*?)```", PAGE, re.S)
    assert found
    return found[1]


def test_the_settings_on_the_page_are_taken() -> None:
    settings = read_settings(shown_settings().encode())
    cfg = render(settings).cfg
    assert "listen=udp:198.51.100.1:5060" in cfg and "@{" not in cfg


def test_each_table_of_the_configuration_is_on_the_page() -> None:
    cfg = (ROOT / "switches" / "kamailio" / "kamailio.cfg").read_text()
    for table in re.findall(r'"htable", "htable", "(\w+)=>', cfg):
        assert f"`{table}`" in PAGE, table


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (b"{}", "switch"),
        (b'{"switch": "k1", "surprise": 1}', "surprise"),
        (b"nonsense", "malformed"),
        (b'{"switch": "k1", "sip_port": "high"}', "sip_port|spool_dir"),
    ],
)
def test_wrong_settings_are_named(wrong: bytes, word: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=word):
        read_settings(wrong)


@pytest.mark.kamailio
def test_the_command_writes_what_kamailio_takes(need: Callable[[str], None], tmp_path: Path) -> None:
    need("kamailio")
    text = shown_settings().replace("/var/spool/ringfence", str(tmp_path / "spool")).replace("/var/lib/ringfence", str(tmp_path))
    (tmp_path / "settings.json").write_text(text.replace("198.51.100.1", "127.0.0.1"))
    line = [sys.executable, "-m", "switches.kamailio", str(tmp_path / "settings.json")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "kamailio -DD" in done.stdout
    assert (tmp_path / "k1" / "site.lua").stat().st_mode & 0o777 == 0o600
