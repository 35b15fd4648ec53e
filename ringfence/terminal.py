"""The output of `up`: events, and below them a status line that is updated in place. Without a terminal, a plain line every 5 s."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from core.money import to_decimal
from core.orders import BlockOrder, Finding
from core.text import amount, clock, span
from ringfence.ops import redaction
from ringfence.ops.live_counts import LiveCounts

PLAIN_EVERY_S = 5.0
"""Interval of the status line without a terminal."""

STATUSES = {"standing": "standing", "shadow": "in shadow", "waiting": "waiting for a person"}


def block_counts_text(counts: Mapping[str, int]) -> str:
    """Blocked keys by status, for `status` and for the status line of `up`.

    >>> block_counts_text({"standing": 6, "shadow": 0, "waiting": 2}), block_counts_text({"shadow": 1}), block_counts_text({})
    ('6 standing, 2 waiting for a person', '0 standing, 1 in shadow', '0 standing')
    """
    return ", ".join(f"{counts.get(name, 0):,} {text}" for name, text in STATUSES.items() if counts.get(name) or name == "standing")


class Terminal:
    """Prints events and updates the status line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._plain_at_s = 0.0

    def __enter__(self) -> Terminal:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def print(self, text: str, style: str = "") -> None:
        self._print(Text(text, style=style))

    def event(self, text: str, style: str = "") -> None:
        """An event with telephone numbers: shown in full on a terminal, masked where the output is a log."""
        self.print(text if self._live else redaction.text(text), style)

    def _print(self, what: Text | str) -> None:
        try:
            self.console.print(what, soft_wrap=True)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # The output is a file on a full disk: the line is lost, but calls must still be judged.

    def alert(self, finding: Finding) -> None:
        """A finding with its reason."""
        self.event(f"{clock(finding.detected_at_ms)}  ALERT  {finding.reason}", "bold yellow")

    def block(self, order: BlockOrder) -> None:
        """An order that is delivered to the switches, or that waits for a person; its reason is in the alert."""
        key = order.key
        who = key.who()
        caller = f", caller {key.a_number}" if key.a_number else ""
        to = f", to {key.b_range}..." if key.b_range else ", to every number"
        life = span(order.expires_at_ms - order.learned_ms)
        verb = "ASK  " if order.ask else "ORDER"  # its status is in the books: a person may have lifted its key
        self.event(f"{clock(order.created_at_ms)}  {verb}  {who}{caller}{to} for {life}   {key.text()}", "bold red")

    def update(
        self, counts: LiveCounts, blocks: Mapping[str, int], parts: Mapping[str, bool], now_ms: int, silent: Sequence[str] = ()
    ) -> None:
        """Update the status line. `blocks`: number of keys by status. `silent`: parts that hang."""
        records_s, sold = counts.rates(now_ms)
        earned = " + ".join(f"{amount(to_decimal(round(nanos)), 3)} {currency}" for currency, nanos in sorted(sold.items())) or "0"
        facts = [
            ("sold/s", earned),
            ("active", f"{counts.active_calls:,}"),
            ("received", f"{counts.received:,} ({records_s:,.0f}/s)"),
            ("rated", f"{counts.total('rated'):,}"),
            ("alerts", f"{len(counts.alert_ids):,}"),
            ("blocks", block_counts_text(blocks)),
            ("refused", f"{counts.refused:,}"),
            ("lag", f"{counts.lag():,}"),
        ]
        down = [name for name, alive in parts.items() if not alive]
        problems = ["down: " + ", ".join(down)] * bool(down) + ["hangs: " + ", ".join(silent)] * bool(silent)
        problems += ["away: journal"] * bool(counts.fault)
        if self._live:
            text = Text("  ").join(Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in facts)
            rest = [Text("  ".join(problems), style="bold red")] if problems else []
            self._live.update(Group(Text(f"{clock(now_ms)}  ", style="dim") + text, *rest), refresh=True)
        elif time.monotonic() - self._plain_at_s >= PLAIN_EVERY_S:
            self._plain_at_s = time.monotonic()
            shouted = [problem[:5].upper() + problem[5:] for problem in problems]
            self._print("  ".join([clock(now_ms), *(f"{name} {value}" for name, value in facts), *shouted]))
