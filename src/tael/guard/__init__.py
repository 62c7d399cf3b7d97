"""Who may ask, and whether they asked before: API keys with scopes, idempotency keys with stored answers.

Knows books and callers; knows nothing about orders or money.
"""

from tael.guard.caller import Caller, KeyRing, PersonRequired, declared_scope, requires
from tael.guard.idempotency import (
    IDEMPOTENCY_HEADER,
    Answer,
    Claim,
    Fresh,
    IdempotencyInFlight,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InFlight,
    Replay,
    Reused,
    Standing,
    answered,
    begin,
    claim_for,
    finish,
    forget_old,
    free,
    idempotency_key,
)

__all__ = [
    "IDEMPOTENCY_HEADER",
    "Answer",
    "Caller",
    "Claim",
    "Fresh",
    "IdempotencyInFlight",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
    "InFlight",
    "KeyRing",
    "PersonRequired",
    "Replay",
    "Reused",
    "Standing",
    "answered",
    "begin",
    "claim_for",
    "declared_scope",
    "finish",
    "forget_old",
    "free",
    "idempotency_key",
    "requires",
]
