"""Handing out Alipay's certificates by SN: ``open.app.alipaycert.download``."""

import base64

from msgspec import Struct

from tael_sandbox.alipay.call import Call
from tael_sandbox.alipay.refusals import Refusal


class Asked(Struct, frozen=True):
    """Which certificate."""

    alipay_cert_sn: str


class CertificateSaid(Struct, frozen=True):
    """The node with a certificate's PEM in base64."""

    code: str
    msg: str
    alipay_cert_content: str


def download(call: Call) -> CertificateSaid:
    """The certificate with this SN. Raises ``Refusal``."""
    asked = call.read(Asked, refuse="INVALID_PARAMETER")
    found = [one for one in call.merchant.keys.signers if one.sn == asked.alipay_cert_sn]
    if not found:
        raise Refusal("CERT_NOT_EXIST", message="证书不存在")
    content = base64.b64encode(found[0].certificate_pem.encode()).decode()
    return CertificateSaid("10000", "Success", content)
