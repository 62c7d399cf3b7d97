"""WeChat Pay v3 as a `Connector`: the pure builders and parsers, put on the shared transport.

Nothing is sent while we hold no platform key that could verify the reply; a reply by an unknown certificate is
judged a second time after the certificates were renewed. The request itself is never sent again.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from tael.base.errors import TaelError
from tael.channels.contract import (
    ChannelError,
    ConnectorSpec,
    ErrorKind,
    MerchantAccount,
    Operation,
    Outcome,
    PaymentHandoff,
    PaymentRef,
    PaymentRequest,
    PaymentView,
    PayoutRef,
    PayoutRequest,
    PayoutView,
    RefundRef,
    RefundRequest,
    RefundView,
    Result,
    Retry,
    VerifiedEvent,
)
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpReply, HttpRequest, HttpResponse
from tael.channels.transport import Transport
from tael.channels.wechat import notices, payments, payouts, refunds
from tael.channels.wechat.certificates import build_certificates, parse_certificates
from tael.channels.wechat.keys import Certificate, WechatKeys, keys_of, load
from tael.channels.wechat.replies import by_unknown_key
from tael.channels.wechat.spec import SPEC

T = TypeVar("T")


class WechatPay:
    """The connector. One per process; it keeps no state of its own, keys live in the merchant account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def spec(self) -> ConnectorSpec:
        """What WeChat Pay can do."""
        return SPEC

    def load_keys(self, secrets: Mapping[str, bytes], config: Mapping[str, str]) -> WechatKeys:
        """See `tael.channels.wechat.keys.load`."""
        return load(secrets, config)

    def check_payment(self, account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> None:
        """Raises `PaymentNotPossible`."""
        payments.check(account, request, now=now)

    async def create_payment(
        self, account: MerchantAccount, request: PaymentRequest, *, now: datetime
    ) -> Result[PaymentHandoff]:
        """Place the order with WeChat."""
        nonce = _nonce()
        sent = payments.build_create(account, request, now=now, nonce=nonce)
        parse = partial(payments.parse_create, account, request, sent, now=now, nonce=nonce)
        return await self._ask(account, Operation.CREATE, sent, parse, now=now)

    async def query_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Ask for the order's state."""
        sent = payments.build_query(account, ref, now=now, nonce=_nonce())
        parse = partial(payments.parse_query, account, ref, sent, now=now)
        return await self._ask(account, Operation.QUERY, sent, parse, now=now)

    async def close_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Close the order."""
        sent = payments.build_close(account, ref, now=now, nonce=_nonce())
        parse = partial(payments.parse_close, account, ref, sent, now=now)
        return await self._ask(account, Operation.CLOSE, sent, parse, now=now)

    async def refund(self, account: MerchantAccount, request: RefundRequest, *, now: datetime) -> Result[RefundView]:
        """Ask for the refund."""
        sent = refunds.build_refund(account, request, now=now, nonce=_nonce())
        parse = partial(refunds.parse_refund, account, request, sent, now=now)
        return await self._ask(account, Operation.REFUND, sent, parse, now=now)

    async def query_refund(self, account: MerchantAccount, ref: RefundRef, *, now: datetime) -> Result[RefundView]:
        """Ask for the refund's state."""
        sent = refunds.build_query_refund(account, ref, now=now, nonce=_nonce())
        parse = partial(refunds.parse_query_refund, account, ref, sent, now=now)
        return await self._ask(account, Operation.QUERY_REFUND, sent, parse, now=now)

    def check_payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> None:
        """Raises `PayoutNotPossible`."""
        payouts.check(account, request)

    async def payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> Result[PayoutView]:
        """Ask for the transfer. A name can only be sealed for a platform key, so that is there before we build."""
        payouts.check_content(account, request)
        if not await self._can_verify(account, now=now):
            return _no_platform_key(payouts.UNSENT)
        sent = payouts.build_payout(account, request, now=now, nonce=_nonce())
        parse = partial(payouts.parse_payout, account, request, sent, now=now)
        return await self._ask(account, Operation.PAYOUT, sent, parse, now=now)

    async def query_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """Ask for the transfer's state."""
        sent = payouts.build_query_payout(account, ref, now=now, nonce=_nonce())
        parse = partial(payouts.parse_query_payout, account, ref, sent, now=now)
        return await self._ask(account, Operation.QUERY_PAYOUT, sent, parse, now=now)

    async def cancel_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """Wish the transfer back."""
        sent = payouts.build_cancel_payout(account, ref, now=now, nonce=_nonce())
        parse = partial(payouts.parse_cancel_payout, account, ref, sent, now=now)
        return await self._ask(account, Operation.CANCEL_PAYOUT, sent, parse, now=now)

    async def keep_keys(self, account: MerchantAccount, *, now: datetime) -> None:
        """Download the certificates if that is due; one caller does, the others wait for it."""
        keyring = keys_of(account).keyring
        if not keyring.due(now=now) and not keyring.renewing.locked():
            return
        async with keyring.renewing:
            if keyring.due(now=now):
                keyring.attempted_at = now
                result = await self._download(account, now=now)
                if result.value is not None:
                    keyring.replace(result.value, now=now)

    def verify_notification(
        self, account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime
    ) -> VerifiedEvent:
        """Check and open a notice."""
        return notices.verify(account, headers, raw, now=now)

    def acknowledge(self) -> HttpReply:
        """204."""
        return notices.acknowledge()

    def refuse(self, problem: TaelError) -> HttpReply:
        """The problem's status with WeChat's FAIL body."""
        return notices.refuse(problem)

    async def _ask(
        self,
        account: MerchantAccount,
        operation: Operation,
        request: HttpRequest,
        parse: Callable[[HttpResponse], Result[T]],
        *,
        now: datetime,
    ) -> Result[T]:
        if not await self._can_verify(account, now=now):
            return _no_platform_key(request)

        async def read(response: HttpResponse) -> Result[T]:
            result = parse(response)
            if not by_unknown_key(result):
                return result
            keys_of(account).keyring.missed = True
            await self.keep_keys(account, now=now)
            return parse(response)

        return await self._transport.call(account, self.spec, operation, request, read)

    async def _can_verify(self, account: MerchantAccount, *, now: datetime) -> bool:
        """Whether we hold a platform key, after a try to get one if not."""
        keyring = keys_of(account).keyring
        if keyring.announced(now=now) is None:
            await self.keep_keys(account, now=now)
        return keyring.announced(now=now) is not None

    async def _download(self, account: MerchantAccount, *, now: datetime) -> Result[list[Certificate]]:
        sent = build_certificates(account, now=now, nonce=_nonce())

        async def read(response: HttpResponse) -> Result[list[Certificate]]:
            return parse_certificates(account, sent, response, now=now)

        reading: Callable[[HttpResponse], Awaitable[Result[list[Certificate]]]] = read
        return await self._transport.call(account, self.spec, Operation.KEYS, sent, reading)


def _no_platform_key(request: HttpRequest) -> Result[T]:
    error = ChannelError(kind=ErrorKind.AUTH, code="no_platform_key", message="", http=None, retry=Retry.SAME_REQUEST)
    return Result(Outcome.NOT_SENT, None, error, evidence(request, None, elapsed_ms=0))


def _nonce() -> str:
    return secrets.token_hex(16)
