"""Attacks and honest oddities as limits between which each figure is drawn, evenly in its logarithm.

Sources: CFCA Fraud Loss Survey 2023; Europol IOCTA 2023 and the Cyber-Telecom Crime Report 2019; ITU-T Technical Report on CLI spoofing (2021); GSMA
"SIM box" and "Wangiri" briefings; Elagib, Hashim and Olanrewaju, "SIMBOX fraud detection using data mining techniques" (ICCNEEE 2015: SIM cards
with 50 to 400 calls per day to distinct numbers from one cell); Tu, Doupe, Zhao and Ahn, "SoK: everyone hates robocalls" (IEEE S&P 2016: up to
hundreds of calls per second and campaign, short ones); Ofcom and ARCEP on spoofed national numbers; the FCC's reports on access arbitrage (2019).
"""

from __future__ import annotations

from typing import NamedTuple

Limits = tuple[float, float]


class Spec(NamedTuple):
    """`on_min` and `off_min`: the attack pauses between bouts. `pool_b`, `pool_a`: how many numbers are called, and shown."""

    where: str  # hosted | transit | cellular
    calls_h: Limits
    talk_s: Limits
    answered: Limits
    pool_b: Limits
    pool_a: Limits
    hours: Limits
    to: tuple[str, ...]  # premium | exotic | gap | home | europe | far
    on_min: Limits = (60, 600)
    off_min: Limits = (1, 5)
    ring_s: float = 3.0
    loss_per_min: float | None = None  # None = the price of the calls
    sims: Limits = (1, 1)
    slow: bool = False
    carrier: str = ""  # early | recorded: answered falsely by one carrier


ATTACKS = {
    "irsf_burst": Spec("hosted", (40, 500), (120, 1800), (0.8, 1), (2, 60), (1, 8), (1, 7), ("premium", "exotic", "gap")),
    "irsf_slow": Spec("hosted", (2, 12), (120, 900), (0.7, 1), (30, 300), (2, 40), (20, 60), ("premium", "exotic", "gap"), slow=True),
    "irsf_short": Spec("transit", (60, 900), (1, 12), (0.85, 1), (10, 900), (5, 200), (1, 9), ("exotic", "gap", "premium")),
    "irsf_block": Spec("hosted", (20, 250), (45, 400), (0.8, 1), (200, 4000), (1, 20), (2, 10), ("gap", "exotic")),
    "pbx_hacking": Spec("hosted", (30, 300), (180, 2400), (0.7, 1), (20, 400), (1, 30), (3, 12), ("premium", "exotic"), (20, 90), (5, 60)),
    "credit_burst": Spec("cellular", (3, 20), (300, 3000), (0.7, 1), (2, 20), (1, 1), (3, 14), ("premium", "exotic", "far")),
    "sim_box": Spec("cellular", (8, 20), (40, 160), (0.5, 0.8), (1e6, 1e6), (1, 1), (10, 30), ("home",), loss_per_min=0.1, sims=(5, 30), slow=True),
    "sim_box_cover": Spec(
        "cellular", (1, 4), (40, 160), (0.5, 0.8), (40, 120), (1, 1), (20, 40), ("home",), loss_per_min=0.1, sims=(10, 30), slow=True
    ),
    "robocalls": Spec("transit", (200, 3000), (3, 25), (0.15, 0.5), (1e6, 1e6), (50, 5000), (1, 8), ("home",), loss_per_min=0.0),
    "flash_calls": Spec("transit", (100, 1500), (0, 0), (0, 0), (1e6, 1e6), (500, 9000), (2, 16), ("home",), ring_s=0.7, loss_per_min=0.0),
    "traffic_pumping": Spec("hosted", (15, 150), (400, 3600), (0.9, 1), (2, 40), (20, 400), (8, 40), ("europe",), loss_per_min=0.04, slow=True),
    "cli_spoofing": Spec("transit", (40, 600), (30, 200), (0.4, 0.7), (1e6, 1e6), (300, 9000), (3, 20), ("home",), loss_per_min=0.1),
    "refiling": Spec("transit", (60, 500), (100, 400), (0.5, 0.7), (1e6, 1e6), (3, 200), (5, 24), ("europe",), loss_per_min=0.12, slow=True),
    "fas_early": Spec("transit", (15, 80), (40, 140), (0.5, 0.7), (1e6, 1e6), (200, 2000), (8, 24), ("far",), slow=True, carrier="early"),
    "fas_recorded": Spec("transit", (15, 80), (40, 140), (0.3, 0.6), (1e6, 1e6), (200, 2000), (8, 24), ("far",), slow=True, carrier="recorded"),
}

HONEST_ODDITIES = {
    "survey institute": Spec("hosted", (20, 120), (20, 300), (0.2, 0.4), (1e6, 1e6), (1, 5), (5, 10), ("home",)),
    "aid organisation": Spec("hosted", (2, 20), (60, 900), (0.4, 0.7), (3, 40), (2, 20), (4, 10), ("exotic",)),
    "shipping company": Spec("hosted", (1, 8), (30, 400), (0.5, 0.9), (1, 12), (1, 6), (3, 24), ("premium", "far")),
    "webinar": Spec("hosted", (20, 90), (1200, 5000), (0.9, 1), (1, 2), (8, 40), (1, 2), ("europe",)),
    "delivery drivers": Spec("cellular", (5, 14), (10, 60), (0.5, 0.8), (40, 200), (1, 1), (6, 10), ("home",)),
    "family feast": Spec("cellular", (3, 12), (200, 2000), (0.3, 0.7), (2, 8), (1, 1), (2, 5), ("exotic", "far")),
    "route tester": Spec("transit", (6, 60), (2, 20), (0.7, 1), (10, 60), (1, 3), (12, 40), ("far", "exotic", "europe")),
    "school alarm": Spec("hosted", (300, 1500), (10, 40), (0.4, 0.7), (100, 900), (1, 1), (0.2, 0.7), ("home",)),
    "ticket sale": Spec("cellular", (50, 400), (10, 90), (0.05, 0.3), (1, 2), (1, 1), (0.5, 2), ("home",)),
    "new reseller": Spec("transit", (40, 300), (30, 200), (0.4, 0.6), (1e6, 1e6), (200, 3000), (10, 40), ("europe", "far", "home")),
}
