"""A running `ringfence up`: what it says, what it may be asked, and its end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from until import until

PORTS = ("COLLECTOR", "WAREHOUSE", "CONTROL", "METRICS", "PAGES")


class Up:
    """`settings` by their names in the environment, without the prefix. What it says goes to `up.txt` beside the home."""

    def __init__(self, home: Path, *options: str, **settings: str) -> None:
        self.home, self.out = home, home.parent / "up.txt"
        ours = {f"{name}_PORT": "0" for name in PORTS} | {"HOME": str(home)} | settings
        self.env = os.environ | {f"RINGFENCE_{name}": value for name, value in ours.items()}
        with self.out.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, "-m", "ringfence", "up", *options], stdout=out, stderr=out, env=self.env)

    def said(self) -> str:
        return self.out.read_text()

    def until(self, look: Callable[[], object], within_s: float = 90.0) -> None:
        until(look, within_s, self.said, meanwhile=self.mourn)

    def until_said(self, pattern: str, within_s: float = 90.0) -> str:
        """Waits until it has said so, and gives the first group, or all of it where the pattern has none."""
        self.until(lambda: re.search(pattern, self.said()), within_s)
        found = re.search(pattern, self.said())
        assert found is not None
        return found[1] if found.re.groups else found[0]

    def mourn(self) -> None:
        assert self.process.poll() is None, self.said()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the same installation."""
        command = [sys.executable, "-m", "ringfence", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60, check=False)

    def ask(self, *words: str) -> str:
        """What a command answers that must not fail."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def endpoints(self) -> dict:
        """Where its parts listen; empty while it has not said."""
        file = self.home / "run" / "endpoints.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> int:
        """Ends it as a person does, and gives its exit code."""
        try:
            if self.process.poll() is None:
                for child in self.children():
                    child.resume()  # else one that a test has stopped would not end
            self.process.terminate()
            return self.process.wait(60)
        finally:
            self.process.kill()
