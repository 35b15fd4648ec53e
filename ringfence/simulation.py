"""The simulator and its switch, wired to a running collector."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.ops import logs
from ringfence.ops.secrets import secrets_of
from ringfence.ops.telemetry import shown
from ringfence.ops.telemetry.simulator import Simulator
from ringfence.parts import until_signalled
from ringfence.settings import Settings
from simulator import live as simulator
from simulator.post import to_collector
from simulator.write import write
from switches.loopback import Loopback

SWITCH = simulator.SWITCH


def live(settings: Settings, seed: int, calls_per_s: float, attack_after_s: float | None, for_s: float | None) -> None:
    """Traffic until it is told to stop. The truth is kept outside of what the flows see."""
    logs.speak(settings.log_level, settings.log_format)
    stop = until_signalled()
    seen = shown(settings, "simulator", Simulator())
    secrets = secrets_of(settings)
    table = Loopback()
    try:
        served = table.serve(settings.control_port, secrets.control_token)
    except OSError as error:
        options.give_up(f"The simulator's switch cannot listen on port {settings.control_port}: {error}")
    try:
        progress = simulator.run(
            to_collector(settings.collector_url, secrets.collector_token),
            table,
            seed,
            calls_per_s,
            clock=seen.beat.in_(wall_clock_ms),
            attack_after_s=attack_after_s,
            stop=stop,
            for_s=for_s,
            place=simulator.live_world(seed, (settings.tenant,)),
            on_progress=seen.tell,
        )
    finally:
        served.close()
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    draft = settings.run_dir / ".truth"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(progress.truth), indent=1))
    os.replace(draft, settings.run_dir / "truth.json")
    if progress.left:
        options.give_up(f"{progress.left} records could not be delivered: {progress.last_refusal}")


def to_files(out: Path, seed: int, calls_per_s: float, hours: float) -> str:
    """Some hours of traffic as files; a line that says what was written."""
    truth = write(out, seed, hours, calls_per_s)
    attack = truth.attack
    what = f"an attack on {attack.account} with {len(attack.call_ids)} calls" if attack else "no attack"
    return f"{truth.records} records in {out}, {what} (truth.json)"
