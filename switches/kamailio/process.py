"""Renders the configuration of a Kamailio and runs it as a child that ends with this process.

switch = start(settings)
...
switch.stop()
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from switches.kamailio import numbering, packages
from switches.kamailio.settings import Settings

HERE = Path(__file__).parent
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
BOOT = "$TV(Sn)"
"""The boot id in the configuration: the time of the start in microseconds."""


class KamailioError(RuntimeError):
    """Kamailio is missing, or did not start; the message has the end of its log."""


_PLACE = re.compile(r"@\{([a-z_0-9]+)\}")
"""The placeholder of a setting in kamailio.cfg: @{name}. Kamailio's own variables begin with a dollar."""


@dataclass(frozen=True)
class Rendered:
    """The two files of one rendering."""

    cfg: str
    site_lua: str


def render(settings: Settings) -> Rendered:
    """The configuration and the constants of the script. Pure; a value with a character that its place does not allow is a `ValueError`.

    >>> settings = Settings(switch="k1", spool_dir=Path("/s"), run_dir=Path("/r"), control_token="t", secret="s")
    >>> "listen=udp:127.0.0.1:5060" in render(settings).cfg
    True
    """
    for what, value in (("emergency number", number) for number in settings.emergency):
        if not (value.isascii() and value.isdigit()):
            raise ValueError(f"{what} {value!r} is not digits")
    values = {
        "switch": _word(settings.switch),
        "listen": _host(settings.listen),
        "sip_port": str(int(settings.sip_port)),
        "control_listen": _host(settings.control_listen),
        "control_port": str(int(settings.control_port)),
        "workers": str(int(settings.workers)),
        "answer_within_ms": str(int(settings.answer_within_ms)),
        "progress_within_ms": str(int(settings.progress_within_ms)),
        "ask": _word(settings.ask or "127.0.0.1:9"),  # without one, nobody asks (site.ask)
        "ask_within_ms": str(int(settings.ask_within_ms)),
        "probe_s": str(int(settings.probe_s)),
        "bye_within_ms": str(int(settings.bye_within_ms)),
        "ring_within_ms": str(int(settings.ring_within_s * 1000)),
        "max_inv_lifetime_ms": str(int((settings.ring_within_s + 60) * 1000)),
        "early_timeout_s": str(int(settings.ring_within_s + 120)),
        "keepalive_s": str(int(settings.keepalive_s)),
        "interim_s": str(int(settings.interim_s)),
        "after_emergency_s": str(int(settings.after_emergency_s)),
        "max_invites_per_s": str(int(settings.max_invites_per_s)),
        "max_requests_per_s": str(8 * int(settings.max_invites_per_s)),
        "max_emergency_per_s": str(int(settings.max_emergency_per_s)),
        "emergency": "|".join(settings.emergency),
        "max_connections": str(int(settings.max_connections)),
        "boot": BOOT,
        "site_lua": _path(settings.run_dir / "site.lua"),
        "here": _path(HERE),
    }
    cfg = _PLACE.sub(lambda place: values[place[1]], (HERE / "kamailio.cfg").read_text(encoding="utf-8"))
    site = {
        "switch": _quoted(settings.switch),
        "tenant": _quoted(settings.tenant),
        "spool": _quoted(str(settings.spool_dir)),
        "run": _quoted(str(settings.run_dir)),
        "span": str(int(settings.spool_span_s)),
        "secret": _quoted(settings.secret),
        "token": _quoted(settings.control_token),
        "after_emergency": str(int(settings.after_emergency_s)),
        "accept_unknown": "false",
        "ask": _quoted(settings.ask),
        "refuse_unrecorded": "true" if settings.refuse_unrecorded else "false",
        "emergency": "{ " + ", ".join(f'["{number}"] = true' for number in settings.emergency) + " }",
        "control_port": str(int(settings.control_port)),
        "max_strangers": str(int(settings.max_strangers)),
        "max_per_stranger": str(int(settings.max_per_stranger)),
    }
    lua = "SITE = {\n" + "".join(f"  {name} = {value},\n" for name, value in site.items()) + "}\n"
    return Rendered(cfg, lua + numbering.lua())


def _word(value: str) -> str:
    if not value or any(not (c.isascii() and (c.isalnum() or c in "._-:[]")) for c in value):
        raise ValueError(f"{value!r} cannot stand in the configuration")
    return value


def _host(value: str) -> str:
    """An address as a URI writes it.

    >>> _host("::1"), _host("127.0.0.1")
    ('[::1]', '127.0.0.1')
    """
    return _word(f"[{value}]" if ":" in value and not value.startswith("[") else value)


def _path(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or any(c in '"\\\n\r$@' for c in text):
        raise ValueError(f"{text!r} cannot stand in the configuration as a path")
    return text


def _quoted(value: str) -> str:
    """Any text as a Lua string.

    >>> print(_quoted('a"b'))
    "a\\034b"
    """
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b:03d}" for b in value.encode()) + '"'


@dataclass
class Running:
    """A running Kamailio."""

    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def control_url(self) -> str:
        """The address of its JSON-RPC."""
        return f"http://{_host(self.settings.control_listen)}:{self.settings.control_port}/RPC"

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ends it in order; kills the whole process group after `timeout_s`."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                pass  # killed below
        self.kill()

    def kill(self) -> None:
        """SIGKILL to Kamailio and all its workers, as a crash would."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the group is gone already
        self.process.wait()


def write_files(settings: Settings) -> Path:
    """The run and spool directories with the configuration in them; returns the path of kamailio.cfg."""
    for directory in (settings.run_dir, settings.spool_dir):  # their files have whole numbers and secrets
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    rendered = render(settings)
    for name, text in (("site.lua", rendered.site_lua), ("kamailio.cfg", rendered.cfg)):
        path = settings.run_dir / name
        path.touch(mode=0o600)  # both hold secrets
        path.chmod(0o600)
        path.write_text(text, encoding="utf-8")
    return settings.run_dir / "kamailio.cfg"


def command(settings: Settings) -> list[str]:
    """The command that runs Kamailio in the foreground with the files of `write_files`."""
    fault, program = packages.fault(), packages.program()
    if fault or program is None:
        raise KamailioError(fault)
    run = settings.run_dir
    return [program, "-DD", "-E", "-f", str(run / "kamailio.cfg"), "-P", str(run / "kamailio.pid"), "-Y", str(run),
            "-w", str(run), "-m", str(settings.shm_mb), "-M", "16"]  # fmt: skip


READY_S = 60.0
"""A start with 300,000 routes takes ten to twenty seconds."""


def start(settings: Settings) -> Running:
    """Runs Kamailio as a child and waits until it answers an OPTIONS. It ends when the calling thread ends, in whatever way, because Linux
    signals the death of that thread: call this from one that lives as long as the process.
    """
    line = command(settings)
    _end_leftovers(settings.run_dir)
    write_files(settings)
    log = settings.run_dir / "kamailio.log"
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended between fork and prctl
            os._exit(1)

    with log.open("ab") as out:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, preexec_fn=die_with_parent
        )
    running = Running(settings, process, log)
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise KamailioError(f"kamailio ended with {process.returncode}:\n{_tail(log)}")
        if answers_options(settings.listen, settings.sip_port):
            return running
    running.kill()
    raise KamailioError(f"kamailio did not answer an OPTIONS within {READY_S:.0f} s:\n{_tail(log)}")


def _end_leftovers(run_dir: Path) -> None:
    """Kills workers that have outlived a killed main process: they would receive half of the packets of a new one. Only processes whose
    command names this configuration are killed."""
    ours = str(run_dir / "kamailio.cfg").encode()
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        try:
            arguments = (proc / "cmdline").read_bytes().split(b"\0")
            if ours in arguments and arguments[0].rsplit(b"/", 1)[-1] == b"kamailio":
                os.kill(int(proc.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended meanwhile, or is of another user


def answers_options(host: str, port: int, timeout_s: float = 0.2) -> bool:
    """Whether a SIP server on UDP answers an OPTIONS with 200."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect((host, port))
            own, tag, there = sock.getsockname(), os.urandom(6).hex(), _host(host)
            request = (
                f"OPTIONS sip:{there}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {_host(own[0])}:{own[1]};branch=z9hG4bK{tag}\r\n"
                f"Max-Forwards: 5\r\nFrom: <sip:ringfence@{there}>;tag={tag}\r\nTo: <sip:{there}>\r\nCall-ID: {tag}\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            sock.send(request.encode())
            return sock.recv(4096).startswith(b"SIP/2.0 200")
        except OSError:  # refused, or no answer: it is not up yet
            time.sleep(0.05)
            return False


def _tail(log: Path, size: int = 2000) -> str:
    return log.read_bytes()[-size:].decode("utf-8", "replace")
