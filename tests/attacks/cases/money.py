"""How requests that move money out are made: a body that would be accepted, with one thing wrong.

`GOOD` holds such a body for each address. A text in it such as `{rich}` stands for an object of the arena's vault.
"""

import hashlib
from collections.abc import Mapping
from typing import cast

import msgspec

from attacks.arena import Arena, Call
from attacks.cases.recharges import Build, keyed

_MOVE: dict[str, object] = {
    "from_account_id": "{rich}", "to_account_id": "{other}", "amount": 100, "currency": "CNY", "note": "n",
    "business_transfer_no": "t-1",
}  # fmt: skip
GOOD: dict[str, dict[str, object]] = {
    "POST /v1/payments": {
        "business_order_no": "p-1", "account_id": "{other}", "amount": 100, "currency": "CNY", "channel": "balance",
        "payer_account_id": "{rich}", "description": "goods", "metadata": {"sku": "7"},
    },
    "POST /v1/refunds": {
        "payment_no": "{paid}", "business_refund_no": "r-1", "amount": 1, "currency": "CNY", "reason": "broken",
    },
    "POST /v1/transfers": _MOVE,
    "POST /v1/transfer_batches": {"atomic": True, "transfers": [_MOVE]},
    "POST /v1/holds": {"account_id": "{rich}", "amount": 100, "currency": "CNY", "reason": "kept", "expires_in_s": 60},
    "POST /v1/withdrawals": {
        "account_id": "{rich}", "payee_id": "{payee}", "amount": 500, "currency": "CNY", "description": "d",
        "business_order_no": "w-1", "metadata": {"a": "b"},
    },
    "POST /v1/adjustments": {
        "reason": "counted twice", "currency": "CNY", "evidence": "letter 7",
        "legs": [{"debit": "{rich}", "credit": "{company}", "amount": 100}],
    },
    "POST /v1/payees": {"owner": "2001", "kind": "wechat_user", "number": "oArena9", "app_id": "wx0", "holder": "h"},
    "PUT /v1/routes": {
        "merchant_account": "{merchant}", "operation": "payout", "currency": "CNY", "priority": 5, "single_max": 100,
    },
    "PUT /v1/approvals/tiers": {
        "kind": "withdrawal", "currency": "CNY", "tiers": [{"from_amount": 0, "needed": 1}],
    },
    "POST /v1/risk/accounts/{other}/freeze": {"reason": "looks odd"},
    "POST /v1/payments/{paid}/fulfil": {"reference": "r"},
    "POST /v1/withdrawals/{waiting}/approve": {"note": "fine"},
    "POST /v1/adjustments/{proposed}/approve": {"note": "fine"},
}  # fmt: skip
KEYED = ["POST /v1/payments", "POST /v1/refunds", "POST /v1/transfers", "POST /v1/transfer_batches", "POST /v1/holds",
         "POST /v1/withdrawals", "POST /v1/adjustments"]  # fmt: skip
"""What needs an idempotency key."""


def money(what: str, /, key: str = "full", **changes: object) -> Build:
    """A good request with changed fields; `...` leaves one out. In lists, the fields of their first entry change."""

    def build(arena: Arena) -> Call:
        return _call(arena, what, msgspec.json.encode(_changed(what, changes)), key)

    return build


def money_raw(what: str, name: str, text: bytes) -> Build:
    """A good request whose field `name` has the value `text` exactly as these bytes."""

    def build(arena: Arena) -> Call:
        good = msgspec.json.encode(_changed(what, {name: "@"}))
        return _call(arena, what, good.replace(b'"%s":"@"' % name.encode(), b'"%s":%s' % (name.encode(), text)), "full")

    return build


def bare(what: str, key: str = "full", **body: object) -> Build:
    """A request with just this body, or with none."""
    return lambda arena: _call(arena, what, msgspec.json.encode(body), key)


def _call(arena: Arena, what: str, content: bytes, key: str) -> Call:
    method, _, path = what.partition(" ")
    filled = arena.known.fill(content.decode("latin-1")).encode("latin-1")
    name = hashlib.sha256(what.encode() + content).hexdigest()
    return Call(method, arena.known.fill(path), filled, keyed(Idempotency_Key=name), key)


def _changed(what: str, changes: Mapping[str, object]) -> dict[str, object]:
    good = dict(GOOD[what])
    for list_name in ("transfers", "legs", "tiers"):
        if list_name in good and list_name not in changes:
            (entry,) = cast("list[dict[str, object]]", good[list_name])
            inner = {name: value for name, value in changes.items() if name in entry}
            changes = {name: value for name, value in changes.items() if name not in entry}
            good[list_name] = [_without(entry | inner)]
    return _without(good | dict(changes))


def _without(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not ...}
