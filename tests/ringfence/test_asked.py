"""`flow api` and `flow redirect` as processes: a switch asks them over HTTP and over SIP, they are killed, and a new deck changes the answer."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from ports import free_ports
from typer.testing import CliRunner
from until import until

from books import credentials, open_books, writing
from ringfence.cli import app
from ringfence.settings import Settings
from services import first_start

PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text()
TOKEN = "a-token-of-this-test"
INVITE = (
    "INVITE sip:{number}@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;branch=z9hG4bK{branch}\r\nFrom: <sip:43199@x>;tag=7\r\n"
    "To: <sip:{number}@x>\r\nCall-ID: {branch}\r\nCSeq: 1 INVITE\r\nX-Ringfence-Account: t1/acme\r\nContent-Length: 0\r\n\r\n"
)


class House:
    """The home of docs/routing.md, with both parts in processes of their own."""

    def __init__(self, root: Path) -> None:
        self.root, (self.http, self.sip) = root, free_ports(2)
        self.settings = Settings(
            _env_file=None, home=root / "home", tenant="t1", countries="AT", api_port=self.http, redirect_port=self.sip,
            redirect_switches="127.0.0.0/8", metrics_port=0,
        )  # fmt: skip
        first_start.lay(self.settings.installation)
        first_start.open_and_publish(self.settings.installation, first_start.starter("t1"), round(time.time() * 1000))
        with writing(open_books(self.settings.books_dsn)) as conn:
            credentials.add(conn, ["t1"], "k1", TOKEN, [], 1)
        for name, text in re.findall(r"```(?:csv|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
            (root / name).write_text(text)
        self.publish()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def publish(self) -> None:
        asked = ["config", "publish", str(self.root / "config.yaml"), "--why", "a test"]
        told = CliRunner().invoke(app, asked, env={"RINGFENCE_HOME": str(self.settings.home)})
        assert told.exit_code == 0, told.output

    def start(self, name: str) -> None:
        log = (self.root / f"{name}.out").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "ringfence", "flow", name], env=os.environ | self.settings.environment(), stdout=log, stderr=log
        )

    def kill(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def close(self) -> None:
        for process in self.running.values():
            process.terminate()
        assert {name: process.wait(30) for name, process in self.running.items()} == dict.fromkeys(self.running, 0)

    def carriers(self, number: str = "43664123456") -> list[str]:
        """Over HTTP; [] = nobody answers yet."""
        try:
            with httpx2.Client(timeout=10, trust_env=False) as client:
                found = client.post(
                    f"http://127.0.0.1:{self.http}/v1/route", json={"account": "acme", "b_number": f"+{number}"},
                    headers={"Authorization": f"Bearer {TOKEN}"},
                )  # fmt: skip
        except httpx2.TransportError:
            return []
        assert found.status_code == 200, found.text
        return [one["carrier"] for one in found.json()["routes"]]

    def contacts(self, number: str = "43664123456") -> str:
        """Over SIP: the first line and the contacts; "" = nobody answers yet."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect(("127.0.0.1", self.sip))
            try:
                sock.send(INVITE.format(number=number, branch=f"z{time.monotonic_ns()}").encode())
                lines = sock.recv(8192).decode().split("\r\n")
            except OSError:
                return ""
        return " ".join([lines[0], *(line for line in lines if line.startswith("Contact"))])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    for process in found.running.values():
        process.kill()


@pytest.mark.slow
def test_a_switch_asks_and_the_answer_is_that_of_the_newest_decks_also_after_a_kill(house: House):
    house.start("api")
    house.start("redirect")
    until(lambda: house.carriers() == ["beta", "alpha"], 60)
    until(lambda: "302" in house.contacts(), 60)
    assert house.contacts().index("127.0.0.1:5081") < house.contacts().index("127.0.0.1:5080")
    assert house.carriers("88213123456") == [] and house.contacts("88213123456").startswith("SIP/2.0 603 ")

    beta = house.root / "beta.csv"
    beta.write_text(beta.read_text().replace("4366,Austria mobile,0.16", "4366,Austria mobile,0.21"))
    house.publish()
    until(lambda: house.carriers() == ["alpha"], 30)  # beta is below the margin floor now
    until(lambda: "127.0.0.1:5081" not in house.contacts(), 30)

    for name in ("api", "redirect"):
        house.kill(name)
        house.start(name)
    until(lambda: house.carriers() == ["alpha"], 60)
    until(lambda: house.contacts().startswith("SIP/2.0 302 ") and "127.0.0.1:5081" not in house.contacts(), 60)
    house.close()
