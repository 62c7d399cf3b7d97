"""Idempotency keys that are none, and keys that already stand for something else."""

from attacks.arena import Arena, Call, Case
from attacks.cases.recharges import recharge, with_headers

_BAD = [("", "empty"), ("x" * 256, "256 characters"), ("a b", "a space"), ("a\tb", "a tab"), ("caf\xe9", "not ASCII"),
        ("x" * 8000, "8,000 characters")]  # fmt: skip


def _without(arena: Arena) -> Call:
    call = recharge()(arena)
    headers = {name: value for name, value in call.headers.items() if name != "Idempotency-Key"}
    return Call(call.method, call.path, call.content, headers)


CASES = [
    Case("K01", "no key", _without, 400, "idempotency_key_required"),
    *(Case("K07", what, with_headers(recharge(), Idempotency_Key=key), 400, "idempotency_key_required")
      for key, what in _BAD),
    Case("K05", "the key of another recharge", with_headers(recharge(), Idempotency_Key="taken"), 422,
         "idempotency_key_reused"),
    Case("K11", "a business order number that has an order", recharge(business_order_no="taken"), 409,
         "duplicate_order"),
]  # fmt: skip
