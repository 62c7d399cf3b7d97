"""What the platform and a payment channel say to each other, whatever the channel.

    PaymentRequest -> create_payment -> PaymentHandoff (what the payer's device opens)
    PaymentRef     -> query_payment  -> PaymentView    (what the channel says about the payment now)
    PaymentRef     -> close_payment  -> PaymentView    (closed; or refused because it is paid)
    RefundRequest  -> refund         -> RefundView     the same three steps for money back to its source
    PayoutRequest  -> payout         -> PayoutView     and for money out
    raw notice     -> verify_notification -> VerifiedEvent, or `BadNotification`

Every call ends in a `Result`, never in an exception of the network. `Result.outcome` is the fate of *the operation
that was asked*; whether the payer has paid is in `value.state`. The words of finality are exact:

    SUCCEEDED  a verified reply says it is done, or answers the question
    PENDING    a verified reply says it is still running
    DECLINED   a verified reply says no for this number, for good; only this may free what was reserved
    UNKNOWN    we cannot tell: time-out, 5xx, bad signature, garbage, unlisted code. Query; never conclude
    NOT_SENT   no byte of the request can have reached the channel; sending the same again is safe
"""

from tael.channels.contract.connector import (
    Connector,
    MakesRefunds,
    PaysOut,
    ServesBills,
    TakesPayments,
)
from tael.channels.contract.notifications import (
    BadNotification,
    MalformedNotification,
    SignatureProbe,
    UnknownSigningKey,
    VerifiedEvent,
)
from tael.channels.contract.payments import (
    AppParams,
    JsapiParams,
    PaymentHandoff,
    PaymentNotPossible,
    PaymentRef,
    PaymentRequest,
    PaymentState,
    PaymentView,
    QrCode,
    Redirect,
)
from tael.channels.contract.payouts import (
    PAYEE_KINDS,
    AlipayUser,
    BankCard,
    Payee,
    PayoutNotPossible,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    PayoutView,
    WechatUser,
)
from tael.channels.contract.refunds import (
    RefundRef,
    RefundRequest,
    RefundState,
    RefundView,
)
from tael.channels.contract.words import (
    AccountState,
    BadCredentials,
    ChannelError,
    ChannelKeys,
    ConnectorSpec,
    ErrorKind,
    MerchantAccount,
    Method,
    Mode,
    Operation,
    Outcome,
    Result,
    Retry,
)
from tael.channels.exchange import HttpReply, RawExchange

__all__ = [
    "PAYEE_KINDS",
    "AccountState",
    "AlipayUser",
    "AppParams",
    "BadCredentials",
    "BadNotification",
    "BankCard",
    "ChannelError",
    "ChannelKeys",
    "Connector",
    "ConnectorSpec",
    "ErrorKind",
    "HttpReply",
    "JsapiParams",
    "MakesRefunds",
    "MalformedNotification",
    "MerchantAccount",
    "Method",
    "Mode",
    "Operation",
    "Outcome",
    "Payee",
    "PaymentHandoff",
    "PaymentNotPossible",
    "PaymentRef",
    "PaymentRequest",
    "PaymentState",
    "PaymentView",
    "PayoutNotPossible",
    "PayoutRef",
    "PayoutRequest",
    "PayoutState",
    "PayoutView",
    "PaysOut",
    "QrCode",
    "RawExchange",
    "Redirect",
    "RefundRef",
    "RefundRequest",
    "RefundState",
    "RefundView",
    "Result",
    "Retry",
    "ServesBills",
    "SignatureProbe",
    "TakesPayments",
    "UnknownSigningKey",
    "VerifiedEvent",
    "WechatUser",
]
