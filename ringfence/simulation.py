"""The simulator and its switch: calls pass the switch's block table, and their records go to its spool."""

from __future__ import annotations

import os

from core.clock import wall_clock_ms
from ringfence import options
from ringfence.ops import logs
from ringfence.ops.secrets import secrets_of
from ringfence.ops.telemetry import start_telemetry
from ringfence.ops.telemetry.simulator import Simulator
from ringfence.parts import until_signalled
from ringfence.settings import Settings
from simulator import live as simulator
from simulator.spool import Spool
from switches.loopback import Loopback

SWITCH = simulator.SWITCH


def live(settings: Settings, seed: int, calls_per_s: float, attack_after_s: float | None, for_s: float | None) -> None:
    """Makes traffic until SIGTERM or Ctrl-C. The true labels are written to a file that no flow reads."""
    logs.configure(settings.log_level, settings.log_format)
    stop = until_signalled()
    telemetry = start_telemetry(settings, "simulator", Simulator())
    secrets = secrets_of(settings)
    table = Loopback()
    try:
        served = table.serve(settings.control_port, secrets.control_token)
    except OSError as error:
        options.give_up(f"The simulator's switch cannot listen on port {settings.control_port}: {error}")
    settings.spool_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    clock = telemetry.beat.around(wall_clock_ms)
    started_ms = clock()
    boot_id = f"{started_ms // 1000}.{started_ms % 1000:03d}000"
    try:
        with Spool(settings.spool_dir, boot_id) as spool:
            progress = simulator.run(
                spool.write,
                table,
                seed,
                calls_per_s,
                clock=clock,
                attack_after_s=attack_after_s,
                stop=stop,
                for_s=for_s,
                boot_id=boot_id,
                world=simulator.live_world(seed, (settings.tenant,)),
                on_progress=telemetry.report,
            )
    finally:
        served.close()
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    draft = settings.run_dir / ".truth"
    draft.write_bytes(progress.truth.json())
    os.replace(draft, settings.run_dir / "truth.json")
