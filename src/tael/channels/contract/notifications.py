"""What a channel tells us without being asked: a notice, once it is verified, or the reason why it is refused."""

from dataclasses import dataclass
from datetime import datetime

from tael.base.errors import TaelError
from tael.channels.contract.payments import PaymentView
from tael.channels.contract.payouts import PayoutView
from tael.channels.contract.refunds import RefundView


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """A notice whose signature, age and encryption were checked. `subject` must still be compared with what we asked.

    `id` is one per event at the channel, not per payment; `sha256` is that of the raw body.
    """

    id: str
    kind: str
    occurred_at: datetime
    subject: PaymentView | RefundView | PayoutView
    sha256: str


class BadNotification(TaelError):
    """The notice is not signed by the channel for this merchant account, or is too old.
    zh: 通知签名无效、已过期，或不属于该商户号。
    """

    status = 401


class SignatureProbe(BadNotification):
    """The channel tests whether wrong signatures are refused; they are. Counted apart from attacks.
    zh: 渠道的签名探测流量，已按要求拒绝。
    """

    status = 401


class UnknownSigningKey(BadNotification):
    """The notice names a signing key that we do not hold; the channel repeats it after the keys are renewed.
    zh: 通知使用了未知的平台证书或公钥，更新密钥后由渠道重发。
    """

    status = 401


class MalformedNotification(BadNotification):
    """The notice cannot be read.
    zh: 通知格式错误。
    """

    status = 400
