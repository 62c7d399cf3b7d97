"""A merchant's server for tests of the sandbox: signs requests by hand, checks replies by hand, hears notices."""

import base64
import json
import ssl
import time
from dataclasses import dataclass, field

import httpx2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from notice_endpoint import NoticeEndpoint
from tael_sandbox import MerchantView

NOON_MS = 1_800_000_000_000
ORDER = {
    "description": '一杯咖啡 "large" \\ 50%',
    "out_trade_no": "T0000000001",
    "notify_url": "https://shop.example.cn/notice",
    "amount": {"total": 100, "currency": "CNY"},
}
REFUND = {
    "out_trade_no": "T0000000001",
    "out_refund_no": "R0000000001",
    "amount": {"refund": 30, "total": 100, "currency": "CNY"},
}
BILLS = "/v3/fund-app/mch-transfer/transfer-bills"
TRANSFER = {
    "out_bill_no": "B0000000001",
    "transfer_scene_id": "1000",
    "openid": "oUser1",
    "transfer_amount": 5_000,
    "transfer_remark": "提现",
    "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "提现"}],
}


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=20, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@dataclass
class Shop:
    """Calls the sandbox at ``merchant.base_url`` as ``merchant``."""

    merchant: MerchantView
    now: int | None = None
    http: httpx2.AsyncClient = field(default_factory=lambda: _client())

    def __post_init__(self) -> None:
        self.key = load_pem_private_key(
            self.merchant.private_key_pem.encode(), None, unsafe_skip_rsa_key_validation=True
        )

    async def order(self, method: str = "native", **changes: object) -> httpx2.Response:
        """Place ORDER with changes; a change to None leaves the field out."""
        body = {"appid": self.merchant.appid, "mchid": self.merchant.mchid, **ORDER, **changes}
        body = {name: value for name, value in body.items() if value is not None}
        return await self.call("POST", f"/v3/pay/transactions/{method}", body)

    async def query(self, number: str = ORDER["out_trade_no"]) -> httpx2.Response:
        return await self.call("GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.merchant.mchid}")

    async def state(self, number: str = ORDER["out_trade_no"]) -> str:
        return (await self.query(number)).json()["trade_state"]

    async def close(self, number: str = ORDER["out_trade_no"]) -> httpx2.Response:
        path = f"/v3/pay/transactions/out-trade-no/{number}/close"
        return await self.call("POST", path, {"mchid": self.merchant.mchid})

    async def refund(self, **changes: object) -> httpx2.Response:
        """Ask for REFUND with changes; a change to None leaves the field out."""
        body = {name: value for name, value in (REFUND | changes).items() if value is not None}
        return await self.call("POST", "/v3/refund/domestic/refunds", body)

    async def transfer(self, *, name: str | None = None, **changes: object) -> httpx2.Response:
        """Ask for TRANSFER with changes, to a user called ``name``."""
        body = {"appid": self.merchant.appid, **TRANSFER, **changes}
        if name is not None:
            body["user_name"] = self.encrypt(name)
        body = {field: value for field, value in body.items() if value is not None}
        return await self.call("POST", BILLS, body, **{"Wechatpay-Serial": self.merchant.public_key_id})

    async def bill(self, number: str = TRANSFER["out_bill_no"]) -> dict[str, object]:
        return (await self.call("GET", f"{BILLS}/out-bill-no/{number}")).json()

    async def cancel(self, number: str = TRANSFER["out_bill_no"]) -> httpx2.Response:
        return await self.call("POST", f"{BILLS}/out-bill-no/{number}/cancel")

    def encrypt(self, name: str) -> str:
        """A personal word for the platform's public key: RSAES-OAEP with SHA-1."""
        key = load_pem_public_key(self.merchant.public_key_pem.encode())
        return base64.b64encode(key.encrypt(name.encode(), OAEP(MGF1(SHA1()), SHA1(), None))).decode()

    async def call(self, method: str, target: str, body: object = None, **headers: str) -> httpx2.Response:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Accept": "application/json", "User-Agent": "shop", "Content-Type": "application/json"}
        sent |= {"Authorization": self.authorize(method, target, raw)} | headers
        return await self.http.request(method, self.merchant.base_url + target, content=raw, headers=sent)

    def authorize(self, method: str, target: str, raw: bytes, **said: str) -> str:
        """The Authorization header; ``said`` replaces single values after signing."""
        seconds = str(int(time.time()) if self.now is None else self.now)
        nonce = "N0"
        signature = self.sign(f"{method}\n{target}\n{seconds}\n{nonce}\n".encode() + raw + b"\n")
        pairs = {
            "mchid": self.merchant.mchid,
            "serial_no": self.merchant.serial,
            "nonce_str": nonce,
            "timestamp": seconds,
            "signature": signature,
        } | said
        return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in pairs.items())

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self.key.sign(message, PKCS1v15(), SHA256())).decode()

    def genuine(self, headers: object, body: bytes) -> bool:
        """Whether the platform signed this reply or notice, with any key of this merchant."""
        if "wechatpay-signature" not in headers:
            return False
        serial = headers["wechatpay-serial"]
        if serial == self.merchant.public_key_id:
            key = load_pem_public_key(self.merchant.public_key_pem.encode())
        else:
            found = [one for one in self.merchant.platform_certificates if one.serial == serial]
            if not found:
                return False
            key = x509.load_pem_x509_certificate(found[0].pem.encode()).public_key()
        message = f"{headers['wechatpay-timestamp']}\n{headers['wechatpay-nonce']}\n".encode() + body + b"\n"
        try:
            key.verify(base64.b64decode(headers["wechatpay-signature"]), message, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def decrypt(self, sealed: dict[str, str]) -> bytes:
        """The plain bytes of a sealed resource. Raises InvalidTag."""
        cipher = AESGCM(self.merchant.apiv3_key.encode())
        nonce, associated = sealed["nonce"].encode(), sealed["associated_data"].encode()
        return cipher.decrypt(nonce, base64.b64decode(sealed["ciphertext"]), associated)

    def read(self, heard: "Heard") -> dict[str, object]:
        """The transaction inside a notice."""
        return json.loads(self.decrypt(json.loads(heard.body)["resource"]))


@dataclass
class Heard:
    """One notice as it arrived."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Ear(NoticeEndpoint):
    """A notice endpoint. It answers the statuses of ``script`` one after the other, then 204."""

    script: list[int] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.heard.append(Heard({name.lower(): value for name, value in headers.items()}, body))
        return self.script.pop(0) if self.script else 204, ""
