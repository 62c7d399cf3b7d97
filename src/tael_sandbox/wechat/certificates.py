"""Handing out the platform's certificates: ``GET /v3/certificates``, each sealed with the merchant's APIv3 key.

A merchant in public-key mode has none and is told so with 404.
"""

from tael_sandbox.wechat.keys import Certificate
from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.refusals import Refusal
from tael_sandbox.wechat.signing import seal
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time


def certificates(wechat: Wechat, merchant: Merchant) -> dict[str, object]:
    """Every certificate that is served, the pending and the outgoing one too. Raises ``Refusal``."""
    if merchant.about.mode == "public_key":
        raise Refusal("RESOURCE_NOT_EXISTS", message="无可用的平台证书，请使用微信支付公钥")
    return {"data": [_sealed(wechat, merchant, one) for one in merchant.keys.certificates]}


def _sealed(wechat: Wechat, merchant: Merchant, one: Certificate) -> dict[str, object]:
    nonce = wechat.ids.nonce(12)
    return {
        "serial_no": one.serial,
        "effective_time": china_time(int(one.starts.timestamp()) * 1000),
        "expire_time": china_time(int(one.ends.timestamp()) * 1000),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": "certificate",
            "ciphertext": seal(merchant.keys.apiv3_key, one.pem.encode(), nonce=nonce, associated="certificate"),
        },
    }
