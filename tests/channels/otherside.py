"""The platform's end, written out for these tests: its keys, signed replies, sealed notices, and a scripted server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tael.base.money import Money
from tael.channels.contract import MerchantAccount, Method, PaymentRequest
from tael.channels.exchange import HttpResponse
from tael.channels.wechat.keys import load

NOW = datetime(2026, 3, 2, 4, 5, 6, tzinfo=UTC)
APIV3 = "k7Qw9ZrT2mXc4VbN8aLs6DfGhJ1pYe3U"
OTHER_APIV3 = "P0oI9uY8tR7eW6qA5sD4fG3hJ2kL1zXc"
MCHID, APPID, NUMBER = "1900006511", "wxd678efh567hg6787", "RC1030KA1B2202603020405060010042"
PUBLIC_KEY_ID = "PUB_KEY_ID_0116000065112026030200"
MERCHANT_SERIAL = "3775B6A45ACD588826D15E583A95F5DD7F1C2B3A"


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key pair per name, made once per test run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(name: str, *, days: int = 1800) -> x509.Certificate:
    """A self-signed platform certificate for the key `name`, valid from a day before NOW."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key(name).public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=days))
    return builder.sign(key(name), hashes.SHA256())


def serial(name: str) -> str:
    return f"{certificate(name).serial_number:X}"


def private_pem(name: str) -> bytes:
    return key(name).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(name: str) -> bytes:
    return (
        key(name).public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def secrets() -> dict[str, bytes]:
    return {"merchant_key": private_pem("merchant"), "apiv3_key": APIV3.encode(), "public_key": public_pem("platform")}


def account(*, platform_keys: str = "public_key", mode: str = "test", base_url: str = "http://127.0.0.1:9", **other):
    config = {"serial_no": MERCHANT_SERIAL, "public_key_id": PUBLIC_KEY_ID, "platform_keys": platform_keys}
    values = {
        "book": 1, "id": 7, "name": "shop", "channel": "wechat", "mode": mode, "state": "active", "mchid": MCHID,
        "appid": APPID, "base_url": base_url, "config": config, "qps": {}, "keys": load(secrets(), config),
    } | other  # fmt: skip
    return MerchantAccount(**values)


def payment(method: Method = Method.NATIVE, **other) -> PaymentRequest:
    values = {
        "number": NUMBER, "amount": Money(100, "CNY"), "description": "充值 1 元", "method": method,
        "notify_url": "https://pay.example.com/v1/notices/wechat/7", "expires_at": NOW + timedelta(minutes=30),
        "payer_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" if method is Method.JSAPI else None,
        "payer_ip": "203.0.113.9" if method is Method.H5 else None,
    } | other  # fmt: skip
    return PaymentRequest(**values)


def signature_headers(
    body: bytes, *, signer: str = "platform", name: str = PUBLIC_KEY_ID, age_s: int = 0
) -> list[tuple[str, str]]:
    """What the platform puts on a reply or notice; `age_s` makes it old (or, negative, of the future)."""
    stamp, nonce = str(int(NOW.timestamp()) - age_s), "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
    signed = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
    signature = base64.b64encode(key(signer).sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
    return [
        ("wechatpay-timestamp", stamp),
        ("wechatpay-nonce", nonce),
        ("wechatpay-signature", signature),
        ("wechatpay-serial", name),
        ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
        ("request-id", "08F78BB5AF0610D302"),
    ]


def reply(status: int, content: object = b"", **signing) -> HttpResponse:
    """A signed reply; `content` is bytes, or something to write as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return HttpResponse(status, tuple(signature_headers(body, **signing)), body)


def unsigned(status: int, content: object = b"") -> HttpResponse:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return HttpResponse(status, (), body)


def problem(status: int, code: str, **signing) -> HttpResponse:
    return reply(status, {"code": code, "message": "说明"}, **signing)


def transaction(**other) -> dict[str, object]:
    """A paid transaction as the platform writes it."""
    return {
        "appid": APPID, "mchid": MCHID, "out_trade_no": NUMBER, "transaction_id": "4200001234202603021234567890",
        "trade_type": "NATIVE", "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "bank_type": "OTHERS",
        "attach": "", "success_time": "2026-03-02T12:05:00+08:00", "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9"},
        "amount": {"total": 100, "payer_total": 90, "currency": "CNY", "payer_currency": "CNY"},
    } | other  # fmt: skip


def sealed(content: bytes, *, apiv3: str = APIV3, bound: str = "transaction", kind: str = "transaction"):
    nonce = "fdasflkja484"
    ciphertext = AESGCM(apiv3.encode()).encrypt(nonce.encode(), content, bound.encode())
    return {
        "original_type": kind,
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(ciphertext).decode(),
        "associated_data": bound,
        "nonce": nonce,
    }


def envelope(content: object, *, event: str = "TRANSACTION.SUCCESS", **seal) -> dict[str, object]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return {
        "id": "EV-2018022511223320873", "create_time": "2026-03-02T12:05:01+08:00", "resource_type": "encrypt-resource",
        "event_type": event, "summary": "支付成功", "resource": sealed(body, **seal),
    }  # fmt: skip


def notice(content: object = None, **seal) -> bytes:
    return json.dumps(envelope(transaction() if content is None else content, **seal)).encode()


def certificate_list(*names: str, apiv3: str = APIV3) -> dict[str, object]:
    """The body of /v3/certificates."""
    return {
        "data": [
            {
                "serial_no": serial(name),
                "effective_time": "2026-03-01T12:00:00+08:00",
                "expire_time": "2031-03-01T12:00:00+08:00",
                "encrypt_certificate": sealed(
                    certificate(name).public_bytes(serialization.Encoding.PEM), apiv3=apiv3, bound="certificate"
                ),
            }
            for name in names
        ]
    }


@dataclass(slots=True)
class Scripted:
    """A server on loopback that does what `answer` says with every connection."""

    base_url: str
    requests: list[bytes]
    connections: int = 0


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[Scripted]:
    """Serve: read one request after the other, let `answer` write; it may close the writer."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        seen.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = [
                    line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                ]
                request = head + (await reader.readexactly(int(length[0])) if length else b"")
                seen.requests.append(request)
                await answer(request, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client left, or the test is over
        finally:
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen = Scripted(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", [])
    try:
        yield seen
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def wired(response: HttpResponse) -> bytes:
    """A reply as bytes on the wire."""
    lines = [f"HTTP/1.1 {response.status} X", *(f"{name}: {value}" for name, value in response.headers)]
    if response.status != 204:
        lines.append(f"content-length: {len(response.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + response.body
