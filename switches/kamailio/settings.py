"""The settings of one Kamailio: addresses, limits, and where records are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EMERGENCY = ("112", "911", "999", "110", "113", "115", "117", "118", "119", "000", "108", "122", "133", "144", "190", "193")
"""Numbers that pass by a pattern in the configuration itself, before any table or script, so that no fault in those can block them."""


@dataclass(frozen=True)
class Settings:
    """One switch, without the content of its tables, which is delivered to it. Paths are absolute; `secret` signs the marks in Record-Route
    and must survive a restart."""

    switch: str
    spool_dir: Path
    run_dir: Path
    control_token: str
    secret: str
    tenant: str = ""  # of records without a tenant: boots, calls from unknown addresses; needed where the switch carries several
    emergency: tuple[str, ...] = EMERGENCY
    listen: str = "127.0.0.1"
    sip_port: int = 5060
    control_listen: str = "127.0.0.1"  # loopback or the management address, never a public one
    control_port: int = 5090
    workers: int = 4
    shm_mb: int = 128
    max_invites_per_s: int = 500  # from one source address; more are dropped for the rest of the second
    max_emergency_per_s: int = 50  # emergency calls from an unknown address: more get a 503; from a source the limit is max_invites_per_s
    max_connections: int = 4096  # over TCP
    max_strangers: int = 512  # of them, from unknown addresses; the oldest of more are closed
    max_per_stranger: int = 16  # from one of those addresses
    refuse_unrecorded: bool = False  # only emergency calls are admitted while the spool takes no records
    answer_within_ms: int = 5_000  # after so long without an answer the next carrier is tried
    ring_within_s: int = 180
    progress_within_ms: int = 10_000  # after so long with nothing but a 100 the next carrier is tried
    ask: str = ""  # HOST:PORT of a `flow redirect` that is asked for calls to numbers that may have been ported; "" = nobody is
    ask_within_ms: int = 50  # the timer of transactions ticks each 62 ms
    probe_s: int = 5  # interval of the OPTIONS to probed gateways
    bye_within_ms: int = 32_000  # an end that has not answered a BYE by then does not have the call (RFC 3261, timer F)
    interim_s: int = 60
    keepalive_s: int = 30  # Kamailio refuses less than 30
    after_emergency_s: int = 7_200
    spool_span_s: int = 3_600  # a new spool file each hour
