"""Notices as the channel writes them, with its real keys, so that exactly one thing can be wrong in each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from attacks.arena import Arena, Call
from tael_sandbox.wechat.signing import SCHEME, seal, sign_reply

_NONCE = "0123456789ab"
_STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice: its body and its headers."""

    body: bytes
    headers: dict[str, str]

    def with_header(self, name: str, value: str | None) -> "Letter":
        """Another value of a header, or none."""
        rest = {known: old for known, old in self.headers.items() if known != name}
        return replace(self, headers=rest if value is None else {**rest, name: value})

    def with_body(self, body: bytes) -> "Letter":
        """Another body under the same signature."""
        return replace(self, body=body)

    def call(self, arena: Arena) -> Call:
        """Posted to where the channel posts it."""
        return Call("POST", f"/v1/notices/wechat/{arena.shop.merchant_account}", self.body, self.headers, "")


def write(
    arena: Arena, *, age_s: int = 0, signer: str = "platform", apiv3_key: str = "", associated: str = "transaction",
    body: Callable[[bytes], bytes] = lambda good: good, of: str = "", **transaction: object,
) -> Letter:  # fmt: skip
    """A notice that the arena's open order is paid, with `transaction` fields changed; signed as `body` made it.

    `of` is another merchant of the channel, with whose keys it is signed and sealed.
    """
    merchant = arena.shop.sim.channels.wechat.state.merchants.get(of or arena.shop.sim.merchant.mchid)
    assert merchant is not None
    told = msgspec.json.encode(_transaction(arena, **transaction))
    sealed = seal(apiv3_key or merchant.keys.apiv3_key, told, nonce=_NONCE, associated="transaction")
    content = body(msgspec.json.encode(_envelope(sealed, associated)))
    now = int(arena.shop.clock.now().timestamp()) - age_s
    key = merchant.keys.public_key if signer == "platform" else _STRANGER
    headers = {
        "Content-Type": "application/json", "Wechatpay-Timestamp": str(now), "Wechatpay-Nonce": "n" * 32,
        "Wechatpay-Serial": merchant.keys.public_key_id, "Wechatpay-Signature-Type": SCHEME,
        "Wechatpay-Signature": sign_reply(key, seconds=now, nonce="n" * 32, body=content),
    }  # fmt: skip
    return Letter(content, headers)


def _transaction(arena: Arena, **changes: object) -> dict[str, object]:
    merchant = arena.shop.sim.merchant
    told: dict[str, object] = {
        "appid": merchant.appid, "mchid": merchant.mchid, "out_trade_no": arena.known.attempt,
        "transaction_id": "4200000000000000000000000001", "trade_type": "NATIVE", "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功", "bank_type": "OTHERS", "success_time": "2026-03-02T12:05:00+08:00",
        "payer": {"openid": "o"}, "amount": {"total": 100, "payer_total": 100, "currency": "CNY",
                                             "payer_currency": "CNY"},
    } | changes  # fmt: skip
    if told["out_trade_no"] == "{foreign_order}":
        told["out_trade_no"] = arena.known.foreign_order
    return told


def _envelope(sealed: str, associated: str) -> dict[str, object]:
    return {
        "id": "EV-1", "create_time": datetime(2026, 3, 2, tzinfo=UTC).isoformat(), "event_type": "TRANSACTION.SUCCESS",
        "resource_type": "encrypt-resource", "summary": "支付成功",
        "resource": {"original_type": "transaction", "algorithm": "AEAD_AES_256_GCM", "ciphertext": sealed,
                     "associated_data": associated, "nonce": _NONCE},
    }  # fmt: skip
