"""All log output goes through one pipeline, as text or JSON: structlog, the standard library, stderr and uncaught exceptions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NUMBER = "436641234567"
TOKEN = "tok-5f6a7b8c"

PROGRAM = f"""
import logging, sys, threading, warnings
import structlog
from ringfence.ops import logs
logs.configure("info", sys.argv[1])
structlog.get_logger("switches.deliver").warning("structlog of {NUMBER}", a_number="{NUMBER}", offset=12345678901, raw=b"{NUMBER}")
logging.getLogger("switches.shipper").info("ours of %s", "{NUMBER}")
logging.getLogger("uvicorn.error").info("a library's info is not logged")
logging.getLogger("uvicorn.error").error("a library of %s, Bearer {TOKEN}", "{NUMBER}")
logging.getLogger("alembic").error("%d cannot be formatted", "{NUMBER}")
warnings.warn("warned of {NUMBER}")
sys.stderr.write("printed of ")
sys.stderr.write("{NUMBER[:6]}")
sys.stderr.write("{NUMBER[6:]}\\n")
try:
    raise ValueError("of " + "{NUMBER}")
except ValueError:
    structlog.get_logger("flows.store").exception("caught")
thread = threading.Thread(target=lambda: int("of {NUMBER}"))
thread.start()
thread.join()
raise RuntimeError("uncaught of " + "{NUMBER}")
"""
LOGGED = ("structlog of", "ours of", "a library of", "warned of", "printed of", "caught", "uncaught of")


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_way_to_log_is_masked(form: str):
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    for text in LOGGED:
        assert text in done.stderr, text
    assert NUMBER not in done.stderr and TOKEN not in done.stderr and "not logged" not in done.stderr
    assert "43664*******" in done.stderr and "12345678901" in done.stderr
    if form == "json":
        events = [json.loads(line) for line in done.stderr.splitlines()]
        assert all(list(event)[:3] == ["timestamp", "level", "event"] and event["logger"] for event in events)
        first = events[0]
        assert (first["level"], first["logger"], first["a_number"]) == ("warning", "switches.deliver", "43664*******")
        assert first["offset"] == 12345678901 and first["raw"] == "12 bytes"
        assert "RuntimeError" in events[-1]["exception"] and events[-1]["level"] == "critical"
        (odd,) = [event for event in events if event["logger"] == "ringfence.ops.logs"]
        assert odd["event"] == "a log line of alembic, <string>:10, could not be formatted: TypeError"


def test_give_up_logs_a_line_like_any_other():
    program = (
        "from ringfence import options; from ringfence.ops import logs; "
        f"logs.configure('info', 'json'); options.give_up('no room for {NUMBER}')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    event = json.loads(done.stderr.splitlines()[0])
    assert (event["level"], event["event"]) == ("error", "no room for 43664*******")


def test_values_without_a_json_form_are_logged_as_text():
    program = r"""
import structlog
from ringfence.ops import logs
logs.configure("info", "json")
structlog.get_logger("ringfence").info("odd \udcff \x00", far=2**80, no=float("nan"), path=__import__("pathlib").Path("/x"), deep=[{1: {2}}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    event = json.loads(done.stderr)
    assert event["far"] == str(2**80) and event["no"] == "nan" and event["path"] == "/x" and event["deep"] == [{"1": [2]}]


def test_the_log_of_up_is_masked_too(tmp_path: Path):
    from ringfence.ops import logs

    logs.append(tmp_path / "up.log", f"switch sim1 refuses t1/account:acme/a:{NUMBER}")
    assert (tmp_path / "up.log").read_text().endswith(" switch sim1 refuses t1/account:acme/a:43664*******\n")
