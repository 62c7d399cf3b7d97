"""A member's server that pays through 99bill: sealing and XML spelt out, nothing borrowed from the sandbox or Tael."""

import base64
import re
import secrets
from dataclasses import dataclass, field

import httpx2
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from tael_sandbox import Bill99MerchantView

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
ORDER = {
    "orderId": "W1", "bankName": "招商银行", "creditName": "张三", "mobile": "13800000000",
    "bankAcctId": "6214830000000001", "amount": "5000", "remark": "提现", "feeAction": "1",
}  # fmt: skip
SPAN = {"targetPage": "1", "pageSize": "20", "startDate": "2027-01-14 16:00:00", "endDate": "2027-01-21 16:00:00"}
PAY = ("/fo-pay/pay2bank/pay", "pay2bankRequest", "pay2bankHead", "requestBody")
QUERY = (
    "/fo-pay-query/pay2bank/query", "pay2bankSearchRequest", "pay2bankSearchHead", "searchRequestBody",
)  # fmt: skip


@dataclass
class Member:
    """One member; asks the sandbox through `http`. `answer` is the last reply as it came."""

    merchant: Bill99MerchantView
    http: httpx2.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.AsyncClient(base_url=self.merchant.base_url, trust_env=False)
        self.key = load_pem_private_key(self.merchant.private_key_pem.encode(), None)
        self.theirs = load_pem_x509_certificate(self.merchant.bill99_certificate_pem.encode()).public_key()

    async def pay(self, **changes: str) -> dict[str, str]:
        return await self.call(PAY, "pay2bankOrder", ORDER | changes)

    async def query(self, order_id: str = "W1", **changes: str) -> dict[str, str]:
        return await self.call(QUERY, "pay2bankSearchRequestParam", {"orderId": order_id} | SPAN | changes)

    async def call(self, where: tuple[str, ...], root: str, said: dict[str, str]) -> dict[str, str]:
        """Ask; the words of the sealed reply, or only `errorCode` and `errorMsg` of a refusal."""
        text = HEAD + f"<{root}>" + "".join(f"<{name}>{value}</{name}>" for name, value in said.items()) + f"</{root}>"
        self.answer = await self.http.post(where[0], content=self.envelope(where, self.seal(text.encode())))
        outside = words(self.answer.text)
        if outside["errorCode"] != "0000":
            return {name: outside[name] for name in ("errorCode", "errorMsg")}
        return words(self.open(outside))

    def envelope(self, where: tuple[str, ...], seal: str, *, member_code: str = "") -> bytes:
        _, root, head, body = where
        inside = f"<version>1.0</version><memberCode>{member_code or self.merchant.member_code}</memberCode>"
        seal = f"<sealDataType>{seal}</sealDataType>"
        return f"{HEAD}<{root}><{head}>{inside}</{head}><{body}>{seal}</{body}></{root}>".encode()

    def seal(self, text: bytes) -> str:
        data_key, fill = secrets.token_hex(8).encode(), 16 - len(text) % 16
        cipher = Cipher(algorithms.AES(data_key), modes.CBC(bytes(16))).encryptor()
        parts = {
            "signedData": self.key.sign(text, PKCS1v15(), SHA1()),
            "encryptedData": cipher.update(text + bytes([fill] * fill)) + cipher.finalize(),
            "digitalEnvelope": self.theirs.encrypt(data_key, PKCS1v15()),
        }
        return "".join(f"<{name}>{base64.b64encode(part).decode()}</{name}>" for name, part in parts.items())

    def open(self, said: dict[str, str]) -> str:
        signed, encrypted, envelope = (
            base64.b64decode(said[name]) for name in ("signedData", "encryptedData", "digitalEnvelope")
        )
        data_key = self.key.decrypt(envelope, PKCS1v15())
        cipher = Cipher(algorithms.AES(data_key), modes.CBC(bytes(16))).decryptor()
        padded = cipher.update(encrypted) + cipher.finalize()
        text = padded[: -padded[-1]]
        self.theirs.verify(signed, text, PKCS1v15(), SHA1())
        return text.decode()


def words(text: str) -> dict[str, str]:
    """Every element that holds only text, the last of a name."""
    return dict(re.findall(r"<(\w+)>([^<]*)</\1>", text))
