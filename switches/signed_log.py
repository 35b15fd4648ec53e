"""Records in a switch's log: one that its spool did not take (a full disk) is written there, as `SPOOL MAC {...}`.

Text of anybody gets into such a log: a message that the switch cannot parse is printed whole, with its line breaks. So only a line with
the switch's MAC is a record, and a line that claims to be one without it is counted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_CLAIM = re.compile(rb"SPOOL ([A-Za-z0-9_=-]{1,64}) (?=\{)")


@dataclass(frozen=True)
class SwitchLog:
    """The log of a switch, and the secret that it signs with."""

    path: Path
    secret: bytes = field(repr=False)


class SignedLines(NamedTuple):
    """Records, as they would stand in the spool, and how many lines claimed to be records and were not signed by the switch."""

    lines: list[bytes]
    forged: int


def mac_of(record: bytes, secret: bytes) -> bytes:
    """What `spool.lua` writes before a record.

    >>> mac_of(b'{"v":2}', b"a secret")
    b'0dIy4v7ktXVNHylVY4a8w4XL6Xpo-MitnRsZLvRD2Kc'
    """
    return base64.urlsafe_b64encode(hmac.digest(secret, b"SPOOL " + record, hashlib.sha256)).rstrip(b"=")


def signed_records(log: bytes, secret: bytes) -> SignedLines:
    """The records in whole lines of a log.

    >>> good = b'ERROR: SPOOL ' + mac_of(b'{"v":2}', b"a secret") + b' {"v":2}'
    >>> signed_records(good + b'\\nINFO: nothing\\nERROR: SPOOL AAAA {"v":2}\\n', b"a secret")
    SignedLines(lines=[b'{"v":2}'], forged=1)
    """
    lines, forged = [], 0
    for line in log.split(b"\n"):
        # Each claim in turn: the log prefix may show a stranger's claim before the switch's own.
        claims = list(_CLAIM.finditer(line))
        for claim in claims:
            record = line[claim.end() :]
            if hmac.compare_digest(claim[1].rstrip(b"="), mac_of(record, secret)):
                lines.append(record)
                break
        else:
            forged += bool(claims)
    return SignedLines(lines, forged)
