"""Notices as Alipay writes them: a form, signed with one key for many apps, in which everything can be said twice."""

import base64
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1

from attacks.arena import Arena, Call, Case
from attacks.cases.recharges import Build
from tael_sandbox.alipay.signing import sign_notice

_STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def letter(
    change: Callable[[bytes], bytes] = lambda good: good, *, signer: str = "alipay", weak: bool = False,
    encoded: str = "utf-8", after: Mapping[str, str] | None = None, to: str = "{alipay}", **said: object,
) -> Build:  # fmt: skip
    """A notice that the arena's open payment is paid, with `said` changed before it is signed and `after` afterwards.

    A field that is `...` is left out; `change` spoils the finished form.
    """

    def build(arena: Arena) -> Call:
        merchant = arena.shop.sim.channels.alipay.state.merchants.get(arena.shop.sim.alipay.merchant.app_id)
        assert merchant is not None
        fields = {
            name: arena.known.fill(str(value)) for name, value in (_good(arena) | said).items() if value is not ...
        }
        key = merchant.keys.signing.key if signer == "alipay" else _STRANGER
        hashed = {"by": SHA1()} if weak else {}
        fields["sign"] = sign_notice(key, fields, charset=encoded, **hashed)
        form = change(urlencode({**fields, **(after or {})}, encoding=encoded).encode())
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return Call("POST", arena.known.fill(f"/v1/notices/alipay/{to}"), form, headers, "")

    return build


def _good(arena: Arena) -> dict[str, object]:
    merchant = arena.shop.sim.alipay.merchant
    return {
        "app_id": merchant.app_id, "auth_app_id": merchant.app_id, "seller_id": merchant.seller_id,
        "sign_type": "RSA2", "charset": "utf-8", "version": "1.0", "notify_type": "trade_status_sync",
        "notify_id": "n1", "notify_time": "2026-03-02 12:05:00", "trade_no": "2026030222001400000000000001",
        "out_trade_no": arena.known.attempt, "trade_status": "TRADE_SUCCESS", "buyer_id": "2088000000000001",
        "subject": "充值", "total_amount": "1.00", "receipt_amount": "1.00", "gmt_payment": "2026-03-02 12:05:00",
    }  # fmt: skip


def _append(text: bytes) -> Callable[[bytes], bytes]:
    return lambda good: good + text


def _sent(content: bytes) -> Build:
    return letter(lambda good: content)


_FORGED = [
    ("N05", "no signature", letter(after={"sign": ""})),
    ("N05", "a signature of nothing", letter(after={"sign": base64.b64encode(b"x" * 256).decode()})),
    ("N05", "a signature that is no base64", letter(after={"sign": "success"})),
    ("N05", "another amount after signing", letter(after={"total_amount": "0.01"})),
    ("N05", "another order after signing", letter(after={"out_trade_no": "x"})),
    ("N05", "another status after signing", letter(trade_status="WAIT_BUYER_PAY", after={
        "trade_status": "TRADE_SUCCESS"})),
    ("N05", "a further field after signing", letter(after={"refund_fee": "0.01"})),
    ("S17", "an algorithm called none", letter(sign_type="none")),
    ("S17", "RSA instead of RSA2", letter(sign_type="RSA")),
    ("S17", "SHA-1", letter(weak=True)), ("S17", "no algorithm", letter(sign_type=...)),
    ("N08", "a stranger's key", letter(signer="stranger")),
    ("N08", "another app", letter(app_id="2021000000000000")), ("N08", "no app", letter(app_id=...)),
    ("N08", "another seller", letter(seller_id="2088000000000000")),
]  # fmt: skip
_UNREADABLE = [
    ("N19", "a parameter twice", letter(_append(b"&total_amount=100.00"))),
    ("N19", "a parameter twice, escaped once", letter(_append(b"&total%5famount=100.00"))),
    ("N19", "the signature twice", letter(_append(b"&sign=x"))),
    ("N19", "a parameter inside a text", letter(subject="x&total_amount=0.01")),
    ("N19", "201 parameters", letter(lambda good: good + b"".join(b"&a%d=1" % number for number in range(201)))),
    ("N19", "a name without a value", letter(_append(b"&x"))), ("N19", "an empty name", letter(_append(b"&=x"))),
    ("N19", "a name with NUL", letter(_append(b"&a%00=x"))), ("N19", "a name in Chinese", letter(
        _append("&金额=1".encode()))),
    ("N20", "GBK that claims to be UTF-8", letter(encoded="gbk")),
    ("N05", "no body", _sent(b"")), ("N04", "JSON", _sent(b'{"trade_status":"TRADE_SUCCESS"}')),
    ("N01", "XML with a file", _sent(b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>')),
]  # fmt: skip
_SIGNED = [
    ("N12", "an amount of nothing", {"total_amount": "0.00"}), ("N12", "a negative amount", {"total_amount": "-1.00"}),
    ("V34", "three places", {"total_amount": "1.000"}), ("V34", "fen for yuan", {"total_amount": "1e2"}),
    ("V13", "full-width digits", {"total_amount": "１.００"}), ("N12", "no amount", {"total_amount": ...}),
    ("N12", "no number of Alipay's", {"trade_no": ...}), ("N12", "no seller", {"seller_id": ...}),
    ("N15", "an unknown status", {"trade_status": "PERHAPS"}), ("N12", "no id", {"notify_id": ...}),
    ("N12", "a time that is none", {"notify_time": "2026-02-31 00:00:00"}),
    ("N12", "an unknown kind", {"notify_type": "fund_auth_freeze"}),
    ("N12", "an unknown method", {"msg_method": "alipay.open.app.x"}),
    ("N20", "an unknown charset, signed", {"charset": "utf-7"}),
]  # fmt: skip

CASES = [
    *(Case(id, f"Alipay: {what}", build, 401) for id, what, build in _FORGED),
    *(Case(id, f"Alipay: {what}", build, 400) for id, what, build in _UNREADABLE),
    *(Case(id, f"Alipay: {what}", letter(**said), 400) for id, what, said in _SIGNED),
    Case("N10", "Alipay: WeChat's order", letter(), 422, evidence="channel_notice"),
    Case("N28", "Alipay: an order we do not have", letter(out_trade_no="PA" + "0" * 30), 404,
         evidence="channel_notice"),
    Case("N10", "Alipay: the other company's order", letter(out_trade_no="{foreign_order}"), 404,
         evidence="channel_notice"),
    Case("N08", "Alipay's notice to WeChat's address", letter(to="{merchant}"), 404),
    Case("N23", "Alipay: 65,537 bytes", letter(lambda good: good.ljust(65_537, b"x")), 413),
]  # fmt: skip
