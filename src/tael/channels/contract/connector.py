"""The shape of a channel: what all of them have, and what some can do: take payments, refund them, pay out."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from tael.base.errors import TaelError
from tael.channels.contract.notifications import VerifiedEvent
from tael.channels.contract.payments import PaymentHandoff, PaymentRef, PaymentRequest, PaymentView
from tael.channels.contract.payouts import PayoutRef, PayoutRequest, PayoutView
from tael.channels.contract.refunds import RefundRef, RefundRequest, RefundView
from tael.channels.contract.words import ChannelKeys, ConnectorSpec, MerchantAccount, Result
from tael.channels.exchange import HttpReply


class Connector(Protocol):
    """What every payment channel has; what it can do besides is in the protocols below.

    Only the `async` methods touch the network; none touches the database. Everything that is signed or compared with a
    clock takes `now`. No method sends anything twice.
    """

    @property
    def spec(self) -> ConnectorSpec:
        """What this channel can do."""
        ...

    def load_keys(self, secrets: Mapping[str, bytes], config: Mapping[str, str]) -> ChannelKeys:
        """Parse the secrets of a merchant account once, to be kept. Raises `BadCredentials`."""
        ...

    async def keep_keys(self, account: MerchantAccount, *, now: datetime) -> None:
        """Renew the channel's public keys if that is due; cheap otherwise. Call at start and then periodically."""
        ...

    def verify_notification(
        self, account: MerchantAccount, headers: Sequence[tuple[str, str]], raw: bytes, *, now: datetime
    ) -> VerifiedEvent:
        """Check and open a notice; pure, causes no outgoing call. `raw` is the body as received.

        Raises `BadNotification` (401), its subclasses `SignatureProbe`, `UnknownSigningKey`, or
        `MalformedNotification` (400), and nothing else, whatever the bytes are.
        """
        ...

    def acknowledge(self) -> HttpReply:
        """The answer that ends the channel's repetitions. Give it only after the event is committed."""
        ...

    def refuse(self, problem: TaelError) -> HttpReply:
        """The answer that makes the channel repeat the notice; says the class of the problem, never its details."""
        ...


@runtime_checkable
class TakesPayments(Connector, Protocol):
    """A channel that can be asked to take a payment."""

    def check_payment(self, account: MerchantAccount, request: PaymentRequest, *, now: datetime) -> None:
        """Refuse before anything is stored what the channel would refuse. Raises `PaymentNotPossible`."""
        ...

    async def create_payment(
        self, account: MerchantAccount, request: PaymentRequest, *, now: datetime
    ) -> Result[PaymentHandoff]:
        """Open the payment; the same request again gives the same hand-off. Raises `PaymentNotPossible`."""
        ...

    async def query_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Ask for the payment's present state."""
        ...

    async def close_payment(self, account: MerchantAccount, ref: PaymentRef, *, now: datetime) -> Result[PaymentView]:
        """Make the payment impossible. SUCCEEDED with `closed` or `not_found`; anything else: query."""
        ...


@runtime_checkable
class MakesRefunds(Connector, Protocol):
    """A channel that can send a payment back to its source, in whole or in parts."""

    async def refund(self, account: MerchantAccount, request: RefundRequest, *, now: datetime) -> Result[RefundView]:
        """Ask for a refund; the same request again is the same refund, so it is safe to repeat and never adds up.

        SUCCEEDED: a verified reply tells the refund's state, which may be anything. DECLINED: this number will never
        be refunded. Anything else: query, then repeat the identical request.
        """
        ...

    async def query_refund(self, account: MerchantAccount, ref: RefundRef, *, now: datetime) -> Result[RefundView]:
        """Ask for the refund's present state."""
        ...


@runtime_checkable
class PaysOut(Connector, Protocol):
    """A channel that can pay somebody from the balance of a merchant account."""

    def check_payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> None:
        """Refuse before anything is stored what the channel would refuse. Raises `PayoutNotPossible`."""
        ...

    async def payout(self, account: MerchantAccount, request: PayoutRequest, *, now: datetime) -> Result[PayoutView]:
        """Ask for a payout; the identical request again is the same payout, so it is safe to repeat and never adds up.

        SUCCEEDED: a verified reply tells the payout's state, which may be anything. DECLINED: a verified reply with a
        code that is listed as final; this number will never be paid. Anything else: query, then repeat the identical
        request.
        """
        ...

    async def query_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """Ask for the payout's present state. Only this answer, or a notice, can say that it failed."""
        ...

    async def cancel_payout(self, account: MerchantAccount, ref: PayoutRef, *, now: datetime) -> Result[PayoutView]:
        """Ask to call a payout back before it is paid. SUCCEEDED only says that the wish was accepted: query.

        A channel that cannot answers DECLINED without sending anything.
        """
        ...


@runtime_checkable
class ServesBills(Connector, Protocol):
    """A channel that offers a bill of a day as a file."""

    async def bill_url(self, account: MerchantAccount, kind: str, day: date, *, now: datetime) -> Result[str]:
        """Where the bill of `day` can be fetched at once (the address lives for seconds). `kind`: trade, funds.

        DECLINED with NOT_FOUND: there is no bill (yet).
        """
        ...
