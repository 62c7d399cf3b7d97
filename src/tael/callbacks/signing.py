"""Secrets and signatures of callbacks, as Standard Webhooks 1.0 defines them (symmetric scheme, `v1`).

No secret is stored. An endpoint's secret follows from the installation's master key, the endpoint and a generation
number; rotation raises the number, and for a while both generations sign, so a receiver can change over at leisure.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

_PURPOSE = b"tael callback secret 1"


def secret(master_key: bytes, *, book: int, endpoint_id: int, generation: int) -> bytes:
    """The 32-byte secret of one generation of an endpoint."""
    named = b"".join(number.to_bytes(8, "big") for number in (book, endpoint_id, generation))
    return hmac.digest(master_key, _PURPOSE + named, hashlib.sha256)


def shown(key: bytes) -> str:
    """A secret the way businesses receive it: `whsec_` and base64."""
    return f"whsec_{base64.b64encode(key).decode()}"


def headers(keys: Sequence[bytes], *, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers of a callback sent at `now`, signed with every key."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_signature(key, signed)}" for key in keys),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
