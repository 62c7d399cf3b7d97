"""99bill as a `Connector` that pays out: the pure builders and parsers, put on the shared transport.

It takes no payments, refunds nothing, and tells nothing by itself: 99bill's own notices are not relied upon and every
one is refused, so that recovery by query is the only way in which the end of a payout is found, its late return too.
"""

import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from tael.base.errors import TaelError
from tael.channels.bill99 import payouts
from tael.channels.bill99.keys import Bill99Keys, load
from tael.channels.bill99.messages import PAY
from tael.channels.bill99.sealing import DATA_KEY_BYTES
from tael.channels.bill99.spec import SPEC
from tael.channels.contract import (
    BadNotification,
    ChannelError,
    ConnectorSpec,
    ErrorKind,
    MerchantAccount,
    Operation,
    Outcome,
    PayoutRef,
    PayoutRequest,
    PayoutView,
    Result,
    Retry,
)
from tael.channels.evidence import evidence
from tael.channels.exchange import HttpReply, HttpRequest, HttpResponse
from tael.channels.transport import Transport

_LETTERS = string.ascii_letters + string.digits
_UNSENT = HttpRequest("POST", PAY.target, (), b"")


class Bill99:
    """The connector. One per process; it keeps no state of its own, keys live in the merchant account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def spec(self) -> ConnectorSpec:
        """What 99bill can do."""
        return SPEC

    def load_keys(self, secrets: Mapping[str, bytes], config: Mapping[str, str]) -> Bill99Keys:
        """See `tael.channels.bill99.keys.load`; there is nothing to configure."""
        return load(secrets)

    async def keep_keys(self, account: MerchantAccount, *, now: datetime) -> None:
        """Nothing to renew: 99bill's certificate is exchanged by hand, years apart."""

    def check_payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> None:
        """Raises `PayoutNotPossible`."""
        payouts.check(account, request)

    async def payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> Result[PayoutView]:
        """Ask for the payout."""
        sent = payouts.build_payout(account, request, data_key=_data_key())

        async def read(response: HttpResponse) -> Result[PayoutView]:
            return payouts.parse_payout(account, request, sent, response)

        return await self._transport.call(account, SPEC, Operation.PAYOUT, sent, read)

    async def query_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """Ask for the payout's state."""
        sent = payouts.build_query_payout(account, ref, now=now, data_key=_data_key())

        async def read(response: HttpResponse) -> Result[PayoutView]:
            return payouts.parse_query_payout(account, ref, sent, response)

        return await self._transport.call(account, SPEC, Operation.QUERY_PAYOUT, sent, read)

    async def cancel_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """99bill cannot call a payout back: DECLINED, and nothing is sent."""
        error = ChannelError(
            kind=ErrorKind.DECLINED, code="cannot_cancel", message="", http=None, retry=Retry.NEVER
        )  # fmt: skip
        return Result(Outcome.DECLINED, None, error, evidence(_UNSENT, None, elapsed_ms=0))

    def verify_notification(
        self, account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime
    ) -> NoReturn:
        """Always raises `BadNotification`."""
        raise BadNotification("99bill sends no notices that are believed")

    def acknowledge(self) -> HttpReply:
        """200; never given, as no notice is accepted."""
        return HttpReply(200, (), b"")

    def refuse(self, problem: TaelError) -> HttpReply:
        """The problem's status, and its class as text."""
        body = type(problem).__name__.encode()
        return HttpReply(max(problem.status, 400), (("content-type", "text/plain"),), body)


def _data_key() -> bytes:
    """16 letters and digits, as 99bill wants them; 95 bits of chance."""
    return "".join(secrets.choice(_LETTERS) for _ in range(DATA_KEY_BYTES)).encode()
