"""A running `ringfence up`, its output and its commands."""

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
    """`settings` by their names in the environment, without the prefix. Its output goes to `up.txt` beside the home."""

    def __init__(self, home: Path, *options: str, **settings: str) -> None:
        self.home, self.out = home, home.parent / "up.txt"
        ours = {f"{name}_PORT": "0" for name in PORTS} | {"HOME": str(home)} | settings
        self.env = os.environ | {f"RINGFENCE_{name}": value for name, value in ours.items()}
        with self.out.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, "-m", "ringfence", "up", *options], stdout=out, stderr=out, env=self.env)

    def output(self) -> str:
        return self.out.read_text()

    def until(self, look: Callable[[], object], within_s: float = 90.0) -> None:
        until(look, within_s, self.output, meanwhile=self.check_alive)

    def until_output(self, pattern: str, within_s: float = 90.0) -> str:
        """Wait until the output matches; return the first group, or the whole match if the pattern has none."""
        self.until(lambda: re.search(pattern, self.output()), within_s)
        found = re.search(pattern, self.output())
        assert found is not None
        return found[1] if found.re.groups else found[0]

    def check_alive(self) -> None:
        assert self.process.poll() is None, self.output()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the same installation."""
        command = [sys.executable, "-m", "ringfence", *arguments]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=180, check=False)

    def ask(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def endpoints(self) -> dict:
        """The addresses of its parts; empty while they are not written yet."""
        file = self.home / "run" / "endpoints.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def close(self) -> int:
        """End it as a person does; return its exit code."""
        try:
            if self.process.poll() is None:
                for child in self.children():
                    child.resume()  # one that a test has stopped with SIGSTOP would not end
            self.process.terminate()
            return self.process.wait(60)
        finally:
            self.process.kill()
