"""Who may ask, and whether they asked before: API keys with scopes, idempotency keys with stored answers.

Knows books and callers; knows nothing about orders or money.
"""

from tael.guard.caller import Caller, KeyRing, PersonRequired, declared_scope, requires
from tael.guard.idempotency import (
    IDEMPOTENCY_HEADER,
    Answer,
    Claim,
    IdempotencyInFlight,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
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
    "IdempotencyInFlight",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
    "KeyRing",
    "PersonRequired",
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
