"""What one Kamailio needs to know, as frozen values: who may call in, where calls go out, where records are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.config import Config
from core.numbers import DialPlan
from core.safety import Protected

EMERGENCY = ("112", "911", "999", "110", "113", "115", "117", "118", "119", "000", "108", "122", "133", "144", "190", "193")
"""Numbers that pass by a pattern in the configuration itself, before any table or script: what no fault of ours can take away."""


@dataclass(frozen=True)
class Carrier:
    """A next hop, in the order in which calls try them. `prefix` is put before the E.164 digits of the sent number.

    >>> Carrier("a", "192.0.2.1:5060", prefix="7001#").address
    '192.0.2.1:5060'
    """

    name: str
    address: str  # HOST:PORT
    trunk_group: str = ""
    egress_trunk: str = ""
    prefix: str = ""


@dataclass(frozen=True)
class Source:
    """A network whose calls are this trunk's: the only way to be an account, whatever From says."""

    network: str  # 192.0.2.7, 192.0.2.0/24, 2001:db8::/32
    tenant: str
    account: str = ""
    trunk: str = ""
    dial_plan: str = "e164"
    max_call_s: int = 4 * 3600  # a call that is longer is ended and marked as suspected hung
    keepalive: bool = False  # ask both sides for a sign of life inside the call (OPTIONS)
    caller_ranges: tuple[str, ...] = ()  # numbers that it is trusted for: prefixes of digits; only they call "from a protected number"
    accept_unreadable: bool = False  # calls to what means no number are sent on as they came, instead of refused with 484


@dataclass(frozen=True)
class Settings:
    """One switch. Paths are absolute; `secret` signs what travels in Record-Route and must survive a restart."""

    switch: str
    spool_dir: Path
    run_dir: Path
    control_token: str
    secret: str
    carriers: tuple[Carrier, ...]
    sources: tuple[Source, ...] = ()
    dial_plans: tuple[DialPlan, ...] = (DialPlan(),)
    protected: Protected = field(default_factory=Protected)
    emergency: tuple[str, ...] = EMERGENCY
    listen: str = "127.0.0.1"
    sip_port: int = 5060
    control_listen: str = "127.0.0.1"  # loopback or the management address, never a public one
    control_port: int = 5090
    tables_version: str = ""  # of dial plans, sources and protected numbers; shown as ctl=>tables
    workers: int = 4
    shm_mb: int = 128
    max_invites_per_s: int = 500  # from one source address; what is above is dropped for the rest of the second
    max_emergency_per_s: int = 50  # emergency calls from an address that is no source: above it 503; from a source max_invites_per_s
    max_connections: int = 4096  # over TCP
    max_strangers: int = 512  # of them, from addresses that are no source; at most so many stay
    max_per_stranger: int = 16  # from one of those addresses
    refuse_unrecorded: bool = False  # no call but an emergency is let in while the spool takes no records
    answer_within_ms: int = 5_000  # a carrier that says nothing for so long is left for the next
    ring_within_s: int = 180
    bye_within_ms: int = 32_000  # an end that has not answered a BYE by then has no call (RFC 3261, timer F)
    interim_s: int = 60
    keepalive_s: int = 30  # Kamailio refuses less than 30
    after_emergency_s: int = 7_200
    spool_span_s: int = 3_600  # a new spool file each hour


def sources_of(config: Config) -> tuple[Source, ...]:
    """The trunks of a config version that are known by source address.

    >>> from core.config import Trunk
    >>> config = Config(trunks=(Trunk(tenant="t1", name="in", account="acme", sources=("192.0.2.7",)),))
    >>> sources_of(config)[0].account
    'acme'
    """
    plans = {(plan.tenant, plan.name) for plan in config.dial_plans}
    return tuple(
        Source(
            network, trunk.tenant, trunk.account, trunk.name,
            plan_name(trunk.tenant if (trunk.tenant, trunk.dial_plan) in plans else "", trunk.dial_plan), trunk.max_call_s,
            caller_ranges=trunk.caller_ranges, accept_unreadable=trunk.accept_unreadable,
        )
        for trunk in config.trunks
        if not trunk.carrier or trunk.account
        for network in trunk.sources
    )  # fmt: skip


def dial_plans_of(config: Config) -> tuple[DialPlan, ...]:
    """The dial plans of a config version under the names that they have at a switch; `e164` is always there.

    >>> [plan.name for plan in dial_plans_of(Config(dial_plans=(DialPlan("at", tenant="t1"),)))]
    ['e164', 'at@t1']
    """
    own = {plan_name(plan.tenant, plan.name): plan for plan in config.dial_plans}
    return tuple(msgspec.structs.replace(plan, name=name) for name, plan in ({"e164": DialPlan()} | own).items())


def plan_name(tenant: str, name: str) -> str:
    """The name of a dial plan at a switch that carries several tenants."""
    return f"{name}@{tenant}" if tenant else name
