"""Alipay's OpenAPI as a `Connector`: the pure builders and parsers, put on the shared transport.

A reply by an unknown certificate is judged a second time after that certificate was downloaded. The request itself is
never sent again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import TypeVar

from tael.base.errors import TaelError
from tael.channels.alipay import bills, notices, payments, payouts, refunds
from tael.channels.alipay.certificates import build_download, parse_download
from tael.channels.alipay.keys import AlipayKeys, Certificate, keys_of, load
from tael.channels.alipay.replies import by_unknown_key
from tael.channels.alipay.spec import SPEC
from tael.channels.contract import (
    ConnectorSpec,
    MerchantAccount,
    Operation,
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
    VerifiedEvent,
)
from tael.channels.exchange import HttpReply, HttpRequest, HttpResponse
from tael.channels.transport import Transport

T = TypeVar("T")


class Alipay:
    """The connector. One per process; it keeps no state of its own, keys live in the merchant account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def spec(self) -> ConnectorSpec:
        """What Alipay can do."""
        return SPEC

    def load_keys(self, secrets: Mapping[str, bytes], config: Mapping[str, str]) -> AlipayKeys:
        """See `tael.channels.alipay.keys.load`."""
        return load(secrets, config)

    def check_payment(self, account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> None:
        """Raises `PaymentNotPossible`."""
        payments.check(account, request, now=now)

    async def create_payment(
        self, account: MerchantAccount, request: PaymentRequest, *, now: datetime
    ) -> Result[PaymentHandoff]:
        """Ask for a QR code, or sign the address of a page or the order of an app, which nobody needs to be asked."""
        if not payments.asks_alipay(request):
            return payments.make_handoff(account, request, now=now)
        sent = payments.build_create(account, request, now=now)
        parse = partial(payments.parse_create, account, request, sent, now=now)
        return await self._ask(account, Operation.CREATE, sent, parse, now=now)

    async def query_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Ask for the trade's state."""
        sent = payments.build_query(account, ref, now=now)
        parse = partial(payments.parse_query, account, ref, sent, now=now)
        return await self._ask(account, Operation.QUERY, sent, parse, now=now)

    async def close_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Close the unpaid trade."""
        sent = payments.build_close(account, ref, now=now)
        parse = partial(payments.parse_close, account, ref, sent, now=now)
        return await self._ask(account, Operation.CLOSE, sent, parse, now=now)

    async def cancel_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Undo the trade, whatever it is: `closed`, or `refunded` in full if it was paid.

        Beside the contract, because it can give money back: only for a payment that must not exist. The view is bare.
        """
        sent = payments.build_cancel(account, ref, now=now)
        parse = partial(payments.parse_cancel, account, ref, sent, now=now)
        return await self._ask(account, Operation.CANCEL, sent, parse, now=now)

    async def refund(self, account: MerchantAccount, request: RefundRequest, *, now: datetime) -> Result[RefundView]:
        """Ask for the refund."""
        sent = refunds.build_refund(account, request, now=now)
        parse = partial(refunds.parse_refund, account, request, sent, now=now)
        return await self._ask(account, Operation.REFUND, sent, parse, now=now)

    async def query_refund(self, account: MerchantAccount, ref: RefundRef, *, now: datetime) -> Result[RefundView]:
        """Ask for the refund's state."""
        sent = refunds.build_query_refund(account, ref, now=now)
        parse = partial(refunds.parse_query_refund, account, ref, sent, now=now)
        return await self._ask(account, Operation.QUERY_REFUND, sent, parse, now=now)

    def check_payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> None:
        """Raises `PayoutNotPossible`."""
        payouts.check(account, request)

    async def payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> Result[PayoutView]:
        """Ask for the transfer."""
        sent = payouts.build_payout(account, request, now=now)
        parse = partial(payouts.parse_payout, account, request, sent, now=now)
        return await self._ask(account, Operation.PAYOUT, sent, parse, now=now)

    async def query_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """Ask for the transfer's state."""
        sent = payouts.build_query_payout(account, ref, now=now)
        parse = partial(payouts.parse_query_payout, account, ref, sent, now=now)
        return await self._ask(account, Operation.QUERY_PAYOUT, sent, parse, now=now)

    async def cancel_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """DECLINED: a transfer cannot be called back."""
        return payouts.cannot_cancel()

    async def bill_url(self, account: MerchantAccount, kind: str, day: date, *, now: datetime) -> Result[str]:
        """Ask where the bill of a day is; `kind` is trade or funds."""
        sent = bills.build_bill(account, kind, day, now=now)
        parse = partial(bills.parse_bill, account, sent, now=now)
        return await self._ask(account, Operation.BILL, sent, parse, now=now)

    async def keep_keys(self, account: MerchantAccount, *, now: datetime) -> None:
        """Download the certificate that a reply has named, if there is one; one caller does, the others wait for it."""
        keyring = keys_of(account).keyring
        if not keyring.due(now=now) and not keyring.renewing.locked():
            return
        async with keyring.renewing:
            missed = keyring.missed
            if missed is not None and keyring.due(now=now):
                keyring.attempted_at, keyring.missed = now, None
                result = await self._download(account, missed, now=now)
                if result.value is not None:
                    keyring.take(result.value)

    def verify_notification(
        self, account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime
    ) -> VerifiedEvent:
        """Check and open a notice."""
        return notices.verify(account, headers, raw, now=now)

    def acknowledge(self) -> HttpReply:
        """`success`."""
        return notices.acknowledge()

    def refuse(self, problem: TaelError) -> HttpReply:
        """The problem's status and `failure`."""
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
        async def read(response: HttpResponse) -> Result[T]:
            result = parse(response)
            if not by_unknown_key(result):
                return result
            await self.keep_keys(account, now=now)
            return parse(response)

        return await self._transport.call(account, self.spec, operation, request, read)

    async def _download(self, account: MerchantAccount, sn: str, *, now: datetime) -> Result[Certificate]:
        sent = build_download(account, sn, now=now)

        async def read(response: HttpResponse) -> Result[Certificate]:
            return parse_download(account, sn, sent, response, now=now)

        return await self._transport.call(account, self.spec, Operation.KEYS, sent, read)
