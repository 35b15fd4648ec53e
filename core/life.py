"""The life of a call: what each event does to it, by the state that it is in.

    RINGING --answer--> TALKING --stop--> ENDED
       |                   |
       | silent: dropped   | silent: closed
       v                   v
     (gone)              HUNG --stop--> ENDED (the next revision)
                           `--any other sign of life--> TALKING

A call begins in RINGING with whichever of its records comes first. It is *sold* once, at its stop or when it is closed as hung; whatever
corrects it afterwards makes the next revision of the same call, never a second call.

A switch that writes a record per leg (a B2BUA) sells the ingress leg and buys each egress leg: the call ends with its ingress leg; an
egress leg that ends before is remembered for then, one that ends after is the next revision. A proxy has one dialog for both, so its
records are those of an ingress leg that also buys.

ENDED calls with egress legs stay for a while for late records (`core.active.LEG_LINGER_MS`); of the others only the end is remembered.

`LIFE[state, event]` is the name of the effect; `core.calls` has a function for each. The state that follows is the effect's outcome: TALKING
from when an answer is known, ENDED from a stop on.
"""

from __future__ import annotations

from typing import Final

RINGING, TALKING, HUNG, ENDED = "ringing", "talking", "hung", "ended"
STATES = (RINGING, TALKING, HUNG, ENDED)

EGRESS = "egress "
"""Before the event of an egress leg's record: `egress stop`."""

# Effects.
NOTE = "note"  # facts of the call, no money
ATTEMPT = "attempt"  # a route attempt that failed: its carrier's fee
ANSWER = "answer"  # talk begins
INTERIM = "interim"  # talk so far
PART = "part"  # a slice; the last one ends the call
END = "end"  # sold
REFUSE = "refuse"  # ended by us, nothing is owed
REVIVE = "revive"  # a sign of life of a call that we closed as hung, then as for a call in progress
LATE = "late"  # after the stop: an event that adds nothing
REPEAT = "repeat"  # the stop again: a duplicate or a conflict
LEG = "leg"  # facts of an egress leg
LEG_ANSWER = "leg answer"  # an egress leg talks; the call does too, where the ingress leg has not reported it
LEG_END = "leg end"  # an egress leg is bought
LEG_CORRECTION = "leg correction"  # the same, after the call was sold: the next revision

_OF_THE_CALL = {
    #            RINGING, TALKING  HUNG     ENDED
    "setup":       (NOTE, NOTE, REVIVE, LATE),
    "ringing":     (NOTE, NOTE, REVIVE, LATE),
    "early_media": (NOTE, NOTE, REVIVE, LATE),
    "auth":        (NOTE, NOTE, REVIVE, LATE),
    "boot":        (NOTE, NOTE, REVIVE, LATE),
    "attempt":     (ATTEMPT, ATTEMPT, REVIVE, LATE),
    "answer":      (ANSWER, ANSWER, REVIVE, LATE),
    "interim":     (INTERIM, INTERIM, REVIVE, LATE),
    "partial":     (PART, PART, PART, LATE),
    "refused":     (REFUSE, REFUSE, REVIVE, LATE),
    "stop":        (END, END, END, REPEAT),
}  # fmt: skip
_OF_AN_EGRESS_LEG = {
    "setup":       (LEG, LEG, REVIVE, LEG),
    "ringing":     (LEG, LEG, REVIVE, LEG),
    "early_media": (LEG, LEG, REVIVE, LEG),
    "auth":        (LEG, LEG, REVIVE, LEG),
    "boot":        (LEG, LEG, REVIVE, LEG),
    "answer":      (LEG_ANSWER, LEG_ANSWER, REVIVE, LEG_ANSWER),
    "interim":     (LEG, LEG, REVIVE, LEG),
    "partial":     (LEG, LEG, REVIVE, LEG),
    "refused":     (LEG, LEG, REVIVE, LEG),
    "attempt":     (LEG_END, LEG_END, LEG_CORRECTION, LEG_CORRECTION),
    "stop":        (LEG_END, LEG_END, LEG_CORRECTION, LEG_CORRECTION),
}  # fmt: skip

LIFE: Final[dict[tuple[str, str], str]] = {
    (state, prefix + event): effect
    for prefix, table in (("", _OF_THE_CALL), (EGRESS, _OF_AN_EGRESS_LEG))
    for event, effects in table.items()
    for state, effect in zip(STATES, effects, strict=True)
}
"""(state, event) -> effect, of every state and every event of `core.record.EVENTS`.

>>> LIFE[TALKING, "stop"], LIFE[HUNG, "stop"], LIFE[ENDED, "egress stop"]
('end', 'end', 'leg correction')
"""
