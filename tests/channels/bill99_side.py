"""99bill's end, written out for these tests: a member, sealed replies, and the cryptography spelt a second time."""

import base64
import secrets
from datetime import UTC, datetime
from html import escape

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.bill99_vectors import BILL99, MEMBER
from tael.base.money import Money
from tael.channels.bill99.keys import load
from tael.channels.contract import BankCard, MerchantAccount, PayoutRef, PayoutRequest
from tael.channels.exchange import HttpResponse

NOW = datetime(2026, 3, 2, 4, 5, 6, tzinfo=UTC)
MEMBER_CODE, NUMBER, THEIRS = "10012138842", "WD1030KA1B2202603020405060010042", "1000000000000001"
CARD = BankCard("6214830000000001", "张三", "招商银行", "13800000000")
REQUEST = PayoutRequest(
    number=NUMBER, payee=CARD, amount=Money(5000, "CNY"), remark="提现 <A&B>", notify_url="http://127.0.0.1:9/n"
)
REF = PayoutRef(NUMBER)
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def keys() -> dict[str, bytes]:
    return {"member_key": private_pem(MEMBER), "bill99_certificate": public_pem(BILL99)}


def account(**other) -> MerchantAccount:
    values = {
        "book": 1, "id": 9, "name": "payouts", "channel": "bill99", "mode": "test", "state": "active",
        "mchid": MEMBER_CODE, "appid": "", "base_url": "http://127.0.0.1:9", "config": {}, "qps": {},
        "keys": load(keys()),
    } | other  # fmt: skip
    return MerchantAccount(**values)


def element(name: str, inside: object) -> str:
    """A mapping becomes elements, a list the same element several times, anything else text."""
    if isinstance(inside, list):
        return "".join(element(name, one) for one in inside)
    if isinstance(inside, dict):
        return f"<{name}>{''.join(element(*one) for one in inside.items())}</{name}>"
    return f"<{name}>{escape(str(inside), quote=False)}</{name}>"


def sealed(plaintext: bytes, *, signer: rsa.RSAPrivateKey = BILL99, reader: rsa.RSAPrivateKey = MEMBER):
    """The four parts of a sealed message, as `signer` makes them for `reader`."""
    data_key = secrets.token_hex(8).encode()
    fill = 16 - len(plaintext) % 16
    cipher = Cipher(algorithms.AES(data_key), modes.CBC(bytes(16))).encryptor()
    parts = {
        "signedData": signer.sign(plaintext, padding.PKCS1v15(), hashes.SHA1()),
        "encryptedData": cipher.update(plaintext + bytes([fill]) * fill) + cipher.finalize(),
        "digitalEnvelope": reader.public_key().encrypt(data_key, padding.PKCS1v15()),
    }
    return {"originalData": ""} | {name: base64.b64encode(part).decode() for name, part in parts.items()}


def opened(parts: dict[str, str], *, signer: rsa.RSAPrivateKey = MEMBER, reader: rsa.RSAPrivateKey = BILL99) -> bytes:
    """What `signer` sealed for `reader`; fails when it is not so."""
    raw = {name: base64.b64decode(text) for name, text in parts.items()}
    data_key = reader.decrypt(raw["digitalEnvelope"], padding.PKCS1v15())
    assert len(data_key) == 16
    assert data_key.isalnum()
    cipher = Cipher(algorithms.AES(data_key), modes.CBC(bytes(16))).decryptor()
    padded = cipher.update(raw["encryptedData"]) + cipher.finalize()
    plaintext = padded[: -padded[-1]]
    signer.public_key().verify(raw["signedData"], plaintext, padding.PKCS1v15(), hashes.SHA1())
    return plaintext


def order(**changes) -> bytes:
    """The order inside an acceptance."""
    said = {"orderId": NUMBER, "bankName": "招商银行", "amount": 5000, "feeAction": 1} | changes
    return (XML + element("pay2bankOrder", said)).encode()


def found(*changes: dict[str, object], **common) -> bytes:
    """The answer to a question, one entry per argument."""
    usual = {
        "applyDate": "2026-03-02 12:05:06", "orderId": NUMBER, "orderSeqId": THEIRS, "bankName": "招商银行",
        "creditName": "张三", "bankAcctId": CARD.number, "payerMembercode": MEMBER_CODE, "amount": 5000, "fee": 0,
        "status": "101", "errorCode": "0000", "errorMsg": "", "endDate": "2026-03-02 12:05:11",
    }  # fmt: skip
    entries = [usual | common | one for one in changes or ({},)]
    said = {"pay2bankSearchResponseParam": {"totalCnt": len(entries)}, "resultList": entries}
    return (XML + element("pay2bankSearchResult", said)).encode()


def accepted(plaintext: bytes | None = None, **other) -> HttpResponse:
    """The reply to a payout."""
    return _reply("pay2bank", "responseBody", order() if plaintext is None else plaintext, **other)


def answered(plaintext: bytes | None = None, **other) -> HttpResponse:
    """The reply to a question."""
    return _reply("pay2bankSearch", "searchResponseBody", found() if plaintext is None else plaintext, **other)


def _reply(
    kind: str, body: str, plaintext: bytes, *, code: str = "0000", message: str = "", member: str = MEMBER_CODE,
    status: int = 200, parts: dict[str, str] | None = None, **sealing,
) -> HttpResponse:  # fmt: skip
    seal = sealed(plaintext, **sealing) if parts is None else parts
    inside = {"errorCode": code, "errorMsg": message, "sealDataType": seal}
    said = {f"{kind}Head": {"version": "1.0", "memberCode": member}, body: inside}
    return HttpResponse(status, (), (XML + element(f"{kind}Response", said)).encode())
