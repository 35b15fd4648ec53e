"""The addresses of the parts of a running `up`, which writes them for the other commands."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses on this machine. `pid` is the supervisor's."""

    pid: int
    pages_url: str = ""
    collector_url: str
    warehouse_url: str
    control_url: str = ""
    sip: str = ""
    parts: dict[str, str] = {}  # name -> base URL of /metrics, /health and /ready


def free_port(host: str) -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def taken(host: str, port: int) -> bool:
    """Whether the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def write(run_dir: Path, endpoints: Endpoints) -> None:
    draft = run_dir / ".endpoints"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(endpoints), indent=1))
    os.replace(draft, run_dir / "endpoints.json")


def forget(run_dir: Path) -> None:
    (run_dir / "endpoints.json").unlink(missing_ok=True)


def running(run_dir: Path) -> Endpoints | None:
    """The endpoints of a living supervisor, else None."""
    try:
        found = msgspec.json.decode((run_dir / "endpoints.json").read_bytes(), type=Endpoints)
        os.kill(found.pid, 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.DecodeError):
        return None
    except PermissionError:
        pass  # alive, and another user's
    return found
