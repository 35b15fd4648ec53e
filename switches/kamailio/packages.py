"""Debian's packages for a Kamailio with our configuration: the one list, made from the modules that the configuration loads.

`python3 switches/kamailio/packages.py` prints it for scripts; it needs Python alone. A test compares the README, docs/operators.md and the
messages of tests with it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

CONFIGURATION = Path(__file__).with_name("kamailio.cfg")
BASE = "kamailio"
PACKAGE_OF = {
    "acc_json": "kamailio-extra-modules",
    "app_lua": "kamailio-lua-modules",
    "auth_identity": "kamailio-tls-modules",
    "crypto": "kamailio-tls-modules",
    "db_sqlite": "kamailio-sqlite-modules",
    "http_client": "kamailio-utils-modules",
    "jansson": "kamailio-extra-modules",
    "json": "kamailio-json-modules",
    "jsonrpcc": "kamailio-json-modules",
    "tls": "kamailio-tls-modules",
    "utils": "kamailio-utils-modules",
    "uuid": "kamailio-extra-modules",
}
"""Module -> its package in Debian 12, where that is not `kamailio` itself."""


def modules(cfg: str) -> list[str]:
    """The modules that a configuration loads, in its order.

    >>> modules('loadmodule "tm.so"\\n# loadmodule "tls.so"\\n  loadmodule "/opt/mod/app_lua.so"\\nloadmodule "crypto"\\n')
    ['tm', 'app_lua', 'crypto']
    """
    return [Path(name).name.removesuffix(".so") for name in re.findall(r'^\s*loadmodulex?\s*\(?\s*"([^"]+)"', cfg, re.M)]


def packages_of(names: Iterable[str]) -> list[str]:
    """The packages of modules, `kamailio` first.

    >>> packages_of(["tm", "crypto", "app_lua"])
    ['kamailio', 'kamailio-lua-modules', 'kamailio-tls-modules']
    """
    return [BASE, *sorted({PACKAGE_OF[name] for name in names if name in PACKAGE_OF})]


def packages() -> list[str]:
    """The packages of our configuration."""
    return packages_of(modules(CONFIGURATION.read_text(encoding="utf-8")))


def install() -> str:
    """The command that installs them.

    >>> install().startswith("apt-get install kamailio kamailio-")
    True
    """
    return " ".join(("apt-get install", *packages()))


def program() -> str | None:
    """The path of Kamailio."""
    return shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")


def module_folders(kamailio: str) -> list[Path]:
    """The folders in which a Kamailio looks for modules; none where its -I does not print them."""
    printed = subprocess.run([kamailio, "-I"], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"^\s*Default paths? to modules:\s*(\S.*)$", printed.stdout + printed.stderr, re.M)
    return [Path(folder) for folder in found[1].strip().split(":")] if found else []


def missing(names: Iterable[str], folders: Iterable[Path]) -> list[str]:
    """Modules that are in none of the folders (in a folder `name.so`, or `name/name.so`)."""
    there = list(folders)
    return [
        name for name in names if not any((at / f"{name}.so").is_file() or (at / name / f"{name}.so").is_file() for at in there)
    ]


def fault(cfg: str = "") -> str:
    """Why a Kamailio with this configuration (ours, where none is given) cannot start on this machine, or "". Nothing is started."""
    kamailio = program()
    if kamailio is None:
        return f"kamailio is not installed; on Debian: {install()}"
    folders = module_folders(kamailio)
    if not folders:
        return ""  # not known: Kamailio's own check of the configuration finds a missing module
    wanted = modules(cfg or CONFIGURATION.read_text(encoding="utf-8"))
    absent = missing(wanted, folders)
    if not absent:
        return ""
    which = ", ".join(f"{name}.so" for name in absent)
    needed = " ".join(package for package in packages_of(absent) if package != BASE or set(absent) - PACKAGE_OF.keys())
    return f"kamailio has no {which} in {':'.join(map(str, folders))}; on Debian: apt-get install {needed}"


if __name__ == "__main__":
    sys.stdout.write(" ".join(packages()) + "\n")
