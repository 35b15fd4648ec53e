"""The kinds of switches, each with its driver. A new kind is a driver with the protocol `switches.control.Control`, and a line here."""

from __future__ import annotations

from collections.abc import Callable

from books.switches import Switch
from switches.control import Control, ControlError
from switches.kamailio.control import KamailioControl
from switches.loopback import LoopbackControl

Connect = Callable[[Switch], Control]

DRIVERS: dict[str, Callable[[str, str], Control]] = {"kamailio": KamailioControl, "loopback": LoopbackControl}
"""Kind -> driver, which takes the address and the token of a control port."""


def connect(switch: Switch) -> Control:
    """The driver of a switch's kind.

    >>> connect(Switch("k9", "sparrow", "http://127.0.0.1:1", ""))
    Traceback (most recent call last):
    ...
    switches.control.ControlError: switch k9 is of kind 'sparrow': there are drivers for kamailio, loopback
    """
    if (driver := DRIVERS.get(switch.kind)) is None:
        raise ControlError(f"switch {switch.name} is of kind {switch.kind!r}: there are drivers for {', '.join(DRIVERS)}")
    return driver(switch.control_url, switch.control_token)
