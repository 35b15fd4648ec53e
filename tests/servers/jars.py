"""Programs of the tests that run in Java: their jars, fetched by Maven once for all checkouts of this user."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path


class Missing(Exception):
    """This machine lacks something; the text says how to get it."""


def jars(pom: Path, name: str, what: str) -> Path:
    """The directory of the jars that a POM names. `name`: of the directory; `what`: it is, in the error. Raises `Missing`."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ringfence"
    target = home / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if shutil.which("java") is None:
        raise Missing("Java is not installed: apt-get install default-jre-headless")
    if target.exists():
        return target
    if shutil.which("mvn") is None:
        raise Missing(f"Maven, which fetches {what}'s jars, is not installed: apt-get install maven")
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            draft = target.with_suffix(".part")
            shutil.rmtree(draft, ignore_errors=True)
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={draft}", "-DincludeScope=runtime"]
            done = subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *goal], capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise Missing(f"Maven could not fetch {what}'s jars: {(done.stdout + done.stderr)[-500:]}")
            draft.rename(target)
    return target
