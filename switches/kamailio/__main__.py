"""python -m switches.kamailio SETTINGS.json: writes the configuration of one switch, has Kamailio check it, prints how to start it.

The file has the fields of `switches.kamailio.settings.Settings`; a field that is left out has its default.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from switches.kamailio.process import command, write_files
from switches.kamailio.settings import Settings


def read_settings(text: bytes) -> Settings:
    """Settings from JSON; a field that is unknown, missing or of another type is a `msgspec.ValidationError` that names it.

    >>> read_settings(b'{"switch": "k1"}')
    Traceback (most recent call last):
    ...
    msgspec.ValidationError: Object missing required field `spool_dir`
    """
    fields: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    unknown = set(fields) - set(Settings.__dataclass_fields__)
    if unknown:
        raise msgspec.ValidationError(f"Object contains unknown field `{sorted(unknown)[0]}`")
    return msgspec.convert(fields, Settings, dec_hook=_path_of_text)


def _path_of_text(kind: type, value: object) -> object:
    return Path(value) if kind is Path and isinstance(value, str) else value


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    try:
        file = Path(arguments[0])
        if file.exists() and not file.is_file():  # reading a pipe would wait
            raise ValueError(f"{file} is not a file")
        settings = read_settings(file.read_bytes())
        start_with = command(settings)  # before anything is written: its error names a missing package
        write_files(settings)
    except (OSError, ValueError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    checked = subprocess.run([start_with[0], "-c", "-f", str(settings.run_dir / "kamailio.cfg")], capture_output=True, text=True)
    if checked.returncode != 0:
        sys.stderr.write(checked.stderr)
        return 1
    sys.stdout.write(f"Kamailio takes {settings.run_dir / 'kamailio.cfg'}. Start it with\n\n    umask 077; {' '.join(start_with)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
