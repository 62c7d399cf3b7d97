"""A merchant's server that calls the simulated Alipay: signs requests by hand, checks replies and notices by hand."""

import base64
import json
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

import httpx2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notice_endpoint import NoticeEndpoint
from tael_sandbox import AlipayMerchantView

NUMBER = "A0000000001"
PAYEE = {"identity": "2088123412341234", "identity_type": "ALIPAY_USER_ID"}
_NODE = re.compile(rb'"alipay_[a-z_]+_response":(\{.*\})(?:,"alipay_cert_sn":"(\w+)")?,"sign":"([^"]+)"\}\Z', re.DOTALL)


@dataclass
class Store:
    """Calls the gateway as ``merchant``."""

    merchant: AlipayMerchantView
    charset: str = "utf-8"
    http: httpx2.AsyncClient = field(
        default_factory=lambda: httpx2.AsyncClient(
            timeout=20, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
    )

    def __post_init__(self) -> None:
        self.key = load_pem_private_key(
            self.merchant.private_key_pem.encode(), None, unsafe_skip_rsa_key_validation=True
        )

    def signed(self, method: str, content: object, /, **common: str | None) -> dict[str, str]:
        """All parameters of a call; a parameter of None is left out before signing."""
        said: dict[str, str | None] = {
            "app_id": self.merchant.app_id, "method": f"alipay.{method}", "format": "JSON", "charset": self.charset,
            "sign_type": "RSA2", "timestamp": "2027-01-15 16:00:00", "version": "1.0",
            "biz_content": content if isinstance(content, str) else json.dumps(content, ensure_ascii=False),
        }  # fmt: skip
        if self.merchant.mode == "certificate":
            said |= {"app_cert_sn": self.merchant.app_cert_sn, "alipay_root_cert_sn": self.merchant.alipay_root_cert_sn}
        kept = {name: value for name, value in (said | common).items() if value}
        text = "&".join(f"{name}={value}" for name, value in sorted(kept.items()))
        return kept | {"sign": self.sign(text.encode(self.charset))}

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self.key.sign(message, PKCS1v15(), SHA256())).decode()

    async def post(self, said: dict[str, str]) -> httpx2.Response:
        body = urlencode(said, encoding=self.charset)
        headers = {"content-type": f"application/x-www-form-urlencoded;charset={self.charset}"}
        return await self.http.post(self.merchant.gateway, content=body, headers=headers)

    async def ask(self, method: str, content: object, /, **common: str | None) -> dict[str, object]:
        """Call, check the signature and return the node. Raises ``Unsigned`` with the node of an unsigned reply."""
        reply = await self.post(self.signed(method, content, **common))
        return self.read(reply.content)

    def read(self, body: bytes) -> dict[str, object]:
        found = _NODE.search(body)
        if found is None:
            raise Unsigned(next(iter(json.loads(body.decode(self.charset)).values())))
        assert (found[2] or b"").decode() == (
            self.merchant.alipay_cert_sn if self.merchant.mode == "certificate" else ""
        )
        self.check(found[1], found[3].decode())
        return json.loads(found[1].decode(self.charset))

    def check(self, message: bytes, sign: str) -> None:
        """Raises InvalidSignature."""
        certificate = x509.load_pem_x509_certificate(self.merchant.alipay_certificate_pem.encode())
        certificate.public_key().verify(base64.b64decode(sign), message, PKCS1v15(), SHA256())

    async def code(self, method: str, content: object, /, **common: str | None) -> str:
        """The sub_code of a refusal, or the code."""
        try:
            said = await self.ask(method, content, **common)
        except Unsigned as unsigned:
            said = {"code": "unsigned"} | unsigned.said
        return str(said.get("sub_code") or said["code"])

    async def order(self, **changes: object) -> dict[str, object]:
        """Place a payment by QR code; common parameters are told apart by name."""
        common = {name: str(changes.pop(name)) for name in ("notify_url",) if name in changes}
        content = {"out_trade_no": NUMBER, "total_amount": "1.00", "subject": "一杯咖啡 100%"} | changes
        return await self.ask("trade.precreate", content, **common)

    async def state(self, number: str = NUMBER) -> str:
        said = await self.ask("trade.query", {"out_trade_no": number})
        return str(said.get("trade_status") or said["sub_code"])

    async def refund(self, amount: str, number: str, **more: object) -> dict[str, object]:
        content = {"out_trade_no": NUMBER, "refund_amount": amount, "out_request_no": number}
        return await self.ask("trade.refund", content | more)

    async def transfer(self, **changes: object) -> dict[str, object]:
        content = {
            "out_biz_no": "T1", "trans_amount": "10.00", "product_code": "TRANS_ACCOUNT_NO_PWD",
            "biz_scene": "DIRECT_TRANSFER", "order_title": "salary", "payee_info": PAYEE,
        } | changes  # fmt: skip
        return await self.ask("fund.trans.uni.transfer", content)

    def hears(self, heard: bytes) -> dict[str, str]:
        """The parameters of a notice whose signature is good. Raises InvalidSignature."""
        text = heard.decode("ascii")
        charset = dict(parse_qsl(text)).get("charset", "utf-8")
        said = dict(parse_qsl(text, encoding=charset, strict_parsing=True))
        kept = sorted((name, value) for name, value in said.items() if name not in ("sign", "sign_type"))
        self.check("&".join(f"{name}={value}" for name, value in kept).encode(charset), said["sign"])
        return said

    def genuine(self, heard: bytes) -> bool:
        try:
            self.hears(heard)
        except InvalidSignature:
            return False
        return True


class Unsigned(Exception):
    """The reply was not signed; ``said`` is its node."""

    def __init__(self, said: dict[str, object]) -> None:
        self.said = said
        super().__init__(str(said))


@dataclass
class Door(NoticeEndpoint):
    """A notice endpoint. It answers the statuses and texts of ``script`` one after the other, then ``success``."""

    script: list[tuple[int, str]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.heard.append(body)
        return self.script.pop(0) if self.script else (200, "success")
