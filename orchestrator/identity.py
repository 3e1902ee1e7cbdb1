"""How far a trial's bits can be trusted after an interruption. Pure.

    exact       one attempt began, or every one ran deterministically on equal numerics
    tolerance   attempts on other numerics, or without determinism: equal up to rounding
    drifted     a repeated step gave another value

An attempt that never began has no fingerprint and computed nothing, so it is left out; a fingerprint that does not
speak of determinism promises none.
"""

from typing import Literal

from orchestrator.lifecycle import TrialStatus

Identity = Literal["exact", "tolerance", "drifted", ""]


def identity(status: TrialStatus) -> Identity:
    """What is promised of a trial's bits; nothing where no attempt has begun."""
    if status.drifted:
        return "drifted"
    prints = [attempt.fingerprint for attempt in status.attempts if attempt.fingerprint]
    if not prints:
        return ""
    deterministic = all(known.get("deterministic", False) for known in prints)
    if len(prints) == 1 or (deterministic and status.fingerprints_agree):
        return "exact"
    return "tolerance"
