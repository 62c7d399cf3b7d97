"""Alipay's end, written out for these tests: its keys and certificates, signed replies and notices."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from hashlib import md5
from urllib.parse import quote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from channels.otherside import NOW, NUMBER, key, private_pem, public_pem
from tael.base.money import Money
from tael.channels.alipay.keys import load
from tael.channels.contract import AlipayUser, MerchantAccount, Method, PaymentRequest, PayoutRequest, RefundRequest
from tael.channels.exchange import HttpResponse

PID, APP_ID, TRADE_NO = "2088123456789012", "2021000000000001", "2026030222001400001000000001"
SHORT, LONG = {"code": "10000", "msg": "Success"}, {"code": "10000", "msg": "Success", "out_trade_no": NUMBER}


def _name(common: str, organisation: str = "Ant") -> x509.Name:
    parts = {
        x509.NameOID.COUNTRY_NAME: "CN", x509.NameOID.ORGANIZATION_NAME: organisation,
        x509.NameOID.COMMON_NAME: common,
    }  # fmt: skip
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts.items()])


@cache
def certificate(
    name: str, *, issuer: str = "ali-root", ca: bool = False, days: int = 1800, organisation: str = "Ant"
) -> x509.Certificate:
    """A certificate for the key `name`, signed with the key `issuer`."""
    builder = x509.CertificateBuilder(
        _name(issuer), _name(name, organisation), key(name).public_key(), 4711 + len(name)
    )
    builder = builder.not_valid_before(NOW - timedelta(days=10)).not_valid_after(NOW + timedelta(days=days))
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key(issuer), hashes.SHA256())


@cache
def elliptic_root() -> x509.Certificate:
    """The root file also holds certificates that are not RSA; they have no part in its name."""
    curve = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(_name("E1"), _name("E1"), curve.public_key(), 99)
    builder = builder.not_valid_before(NOW - timedelta(days=10)).not_valid_after(NOW + timedelta(days=1800))
    return builder.sign(curve, hashes.SHA256())


def namesake(public_key: CertificatePublicKeyTypes) -> x509.Certificate:
    """A certificate with the name of the root and another key."""
    builder = x509.CertificateBuilder(_name("ali-root"), _name("ali-root"), public_key, 98)
    builder = builder.not_valid_before(NOW - timedelta(days=10)).not_valid_after(NOW + timedelta(days=1800))
    return builder.sign(key("ali-root"), hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def sn(name: str, *, issuer: str = "ali-root") -> str:
    """The name of a certificate, worked out here once more."""
    return md5(f"CN={issuer},O=Ant,C=CN{4711 + len(name)}".encode(), usedforsecurity=False).hexdigest()


def secrets(mode: str) -> dict[str, bytes]:
    if mode == "public_key":
        return {"app_private_key": private_pem("app"), "alipay_public_key": public_pem("alipay")}
    return {
        "app_private_key": private_pem("app"),
        "app_cert": pem(certificate("app")),
        "alipay_cert": pem(certificate("alipay")),
        "alipay_root_cert": pem(certificate("ali-root"), elliptic_root()),
    }


def account(*, keys: str = "certificate", base_url: str = "http://127.0.0.1:9", **other) -> MerchantAccount:
    config = {"mode": keys}
    values = {
        "book": 1, "id": 8, "name": "alipay-shop", "channel": "alipay", "mode": "test", "state": "active",
        "mchid": PID, "appid": APP_ID, "base_url": base_url, "config": config, "qps": {},
        "keys": load(secrets(keys), config),
    } | other  # fmt: skip
    return MerchantAccount(**values)


def payment(method: Method = Method.NATIVE, **other) -> PaymentRequest:
    values = {
        "number": NUMBER, "amount": Money(8800, "CNY"), "description": "充值 88 元", "method": method,
        "notify_url": "https://pay.example.com/v1/notices/alipay/8", "expires_at": NOW + timedelta(minutes=30),
    } | other  # fmt: skip
    return PaymentRequest(**values)


def refund(**other) -> RefundRequest:
    values = {
        "number": "RF1" + NUMBER[3:], "payment_number": NUMBER, "payment_ref": TRADE_NO, "amount": Money(1000, "CNY"),
        "total": Money(8800, "CNY"), "reason": "退货", "notify_url": "https://pay.example.com/v1/notices/alipay/8",
    } | other  # fmt: skip
    return RefundRequest(**values)


def payout(**other) -> PayoutRequest:
    values = {
        "number": NUMBER, "payee": AlipayUser("2088000000000001", "ALIPAY_USER_ID"), "amount": Money(10, "CNY"),
        "remark": "提现", "notify_url": "https://pay.example.com/v1/notices/alipay/8",
    } | other  # fmt: skip
    return PayoutRequest(**values)


def signature(message: bytes, *, signer: str = "alipay", by: hashes.HashAlgorithm | None = None) -> str:
    return base64.b64encode(key(signer).sign(message, padding.PKCS1v15(), by or hashes.SHA256())).decode()


def node_name(method: str) -> str:
    return f"alipay_{method.replace('.', '_')}_response"


def written(content: object) -> bytes:
    """A node as Alipay writes it: slashes are escaped."""
    return json.dumps(content, ensure_ascii=False).replace("/", "\\/").encode()


def body(
    method: str, content: object, *, signer: str = "alipay", name: str | None = None, signed: bool = True
) -> bytes:
    """A reply's body; `name`: the SN that it gives, by default that of the signer's certificate."""
    node = content if isinstance(content, bytes) else written(content)
    parts = [b'"%s":%s' % (node_name(method).encode(), node)]
    if signed:
        parts.append(b'"alipay_cert_sn":"%s"' % (name or sn(signer)).encode())
        parts.append(b'"sign":"%s"' % signature(node, signer=signer).encode())
    return b"{%s}" % b",".join(parts)


def http(content: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(status, (("content-type", "text/html;charset=utf-8"),), content)


def reply(method: str, content: object, **signing) -> HttpResponse:
    return http(body(method, content, **signing))


def refusal(method: str, sub_code: str, *, code: str = "40004", **signing) -> HttpResponse:
    said = {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "说明"}
    return reply(method, said, **signing)


def trade(**other) -> dict[str, str]:
    """A paid trade as a query shows it."""
    return LONG | {
        "trade_no": TRADE_NO, "trade_status": "TRADE_SUCCESS", "total_amount": "88.00", "receipt_amount": "80.00",
        "buyer_pay_amount": "80.00", "buyer_user_id": "2088000000000001", "buyer_logon_id": "buy***@example.com",
        "send_pay_date": "2026-03-02 12:05:00",
    } | other  # fmt: skip


def refunded(**other) -> dict[str, str]:
    """The reply to a refund; `refund_fee` is the sum of all."""
    return LONG | {
        "trade_no": TRADE_NO, "fund_change": "Y", "refund_fee": "10.00", "gmt_refund_pay": "2026-03-02 12:06:00",
    } | other  # fmt: skip


def found_refund(**other) -> dict[str, str]:
    return LONG | {
        "trade_no": TRADE_NO, "out_request_no": "RF1" + NUMBER[3:], "refund_amount": "10.00", "total_amount": "88.00",
        "refund_status": "REFUND_SUCCESS", "gmt_refund_pay": "2026-03-02 12:06:00",
    } | other  # fmt: skip


def transfer(**other) -> dict[str, str]:
    return SHORT | {
        "out_biz_no": NUMBER, "order_id": "20260302110070000006780000000001", "status": "SUCCESS",
        "pay_fund_order_id": "20260302110070001506780000000001",
    } | other  # fmt: skip


def form(said: Mapping[str, str], *, charset: str = "utf-8", signer: str = "alipay", **signing) -> bytes:
    """A signed form."""
    kept = sorted((name, value) for name, value in said.items() if name not in ("sign", "sign_type"))
    text = "&".join(f"{name}={value}" for name, value in kept)
    sign = signature(text.encode(charset), signer=signer, **signing)
    return "&".join(
        f"{name}={quote_plus(value, encoding=charset)}" for name, value in ({**said, "sign": sign}).items()
    ).encode()


def told(**other) -> dict[str, str]:
    """What a notice of a payment says."""
    return {
        "notify_type": "trade_status_sync", "notify_id": "ac05099524730693a8b330c5ecf72da9786",
        "notify_time": "2026-03-02 12:05:02", "app_id": APP_ID, "auth_app_id": APP_ID, "seller_id": PID,
        "charset": "utf-8", "version": "1.0", "sign_type": "RSA2", "trade_no": TRADE_NO, "out_trade_no": NUMBER,
        "trade_status": "TRADE_SUCCESS", "total_amount": "88.00", "receipt_amount": "80.00",
        "subject": '充值 "88" = & + % / } {', "gmt_payment": "2026-03-02 12:05:00", "buyer_id": "2088000000000001",
        "fund_bill_list": '[{"amount":"80.00","fundChannel":"ALIPAYACCOUNT"}]',
    } | other  # fmt: skip


def told_transfer(**other) -> dict[str, str]:
    """What a notice of a payout says."""
    content = {
        "out_biz_no": NUMBER, "order_id": "20260302110070000006780000000001", "status": "SUCCESS",
        "trans_amount": "0.10", "action_type": "FINISH", "pay_date": "2026-03-02 12:05:00",
    } | other  # fmt: skip
    return {
        "msg_method": "alipay.fund.trans.order.changed", "notify_id": "2026030200262120502012341234", "app_id": APP_ID,
        "charset": "utf-8", "version": "1.1", "sign_type": "RSA2", "utc_timestamp": "1772424302123",
        "biz_content": json.dumps(content),
    }  # fmt: skip
