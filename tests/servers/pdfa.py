"""Whether files are PDF/A-3b, as veraPDF sees it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from jars import jars

POM = Path(__file__).parent / "verapdf" / "pom.xml"


def libs() -> Path:
    """Where its jars are (14 MB). Raises `jars.Missing`."""
    return jars(POM, "verapdf", "veraPDF")


def faults(files: Sequence[Path]) -> dict[str, str]:
    """{file name: what it breaks}, of those that are not PDF/A-3b."""
    command = ["java", "-XX:+UseSerialGC", "-cp", f"{libs()}/*", "org.verapdf.apps.GreenfieldCliWrapper", "--flavour", "3b", "--format", "text", "-v"]
    said = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=300, check=False).stdout
    verdicts = {str(file): "veraPDF says nothing of it" for file in files}
    for line in said.splitlines():
        for file in verdicts:
            if f" {file} " in line:
                verdicts[file] = "" if line.startswith("PASS ") else line
                last = file
        if line.startswith("  FAIL"):
            verdicts[last] += line
    return {Path(file).name: fault for file, fault in verdicts.items() if fault}
