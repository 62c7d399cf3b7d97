"""HTTP that starts a payment: `POST /v1/recharges`, `POST /v1/payments`. The bodies differ; what follows does not."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from tael.base.http import Body, InvalidField, MissingField
from tael.base.money import MAX_MINOR, Money
from tael.channels.contract import Method
from tael.guard import IDEMPOTENCY_HEADER, Caller, claim_for, idempotency_key, requires
from tael.payments.from_balance import BALANCE, BalancePayments, PayFromBalance
from tael.payments.kinds import PAYMENT, RECHARGE
from tael.payments.parameters import BusinessNo, Number, as_id, as_response, check_metadata
from tael.payments.start import PayIns, StartPayIn
from tael.payments.views import PaymentOrderView, RechargeView

_UNKNOWN = "It is not known yet whether the channel has the order"


class NewRecharge(Body):
    """Recharge an account. `amount` is in minor units (fen)."""

    account_id: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    channel: str = Field(pattern="^[a-z][a-z0-9]{1,31}$", examples=["wechat"])
    method: str = Field(pattern="^(native|jsapi|h5|app|page)$")
    description: str = Field(min_length=1, max_length=127)
    business_order_no: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,64}$")
    merchant_account: Number | None = Field(default=None, description="Default: the channel's first active one")
    payer_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,128}$", description="openid, for jsapi")
    payer_ip: str | None = Field(default=None, pattern=r"^[0-9a-fA-F.:]{2,45}$", description="for h5")
    metadata: dict[str, str] = Field(default_factory=dict, max_length=50)


class Fulfilment(Body):
    """What is sold has to be made: say so with `POST /v1/payments/{order_no}/fulfil`, or you are reminded of it."""

    within_s: int = Field(ge=1, le=30 * 86400, description="Seconds after the payment")


class NewPayment(Body):
    """Take a payment for goods into `account_id`. `amount` is in minor units (fen).

    Through a channel by a method, or from another balance: channel `balance` with `payer_account_id`. Put what is sold
    (names, prices, discounts) into `metadata`: it is kept with the order as it was when the order was placed.
    """

    business_order_no: BusinessNo
    account_id: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    channel: str = Field(pattern="^[a-z][a-z0-9]{1,31}$", examples=["wechat", "balance"])
    method: str | None = Field(default=None, pattern="^(native|jsapi|h5|app|page)$", description="not for `balance`")
    description: str = Field(min_length=1, max_length=127)
    merchant_account: Number | None = Field(default=None, description="Default: the channel's first active one")
    payer_account_id: Number | None = Field(default=None, description="for `balance`")
    payer_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,128}$", description="openid, for jsapi")
    payer_ip: str | None = Field(default=None, pattern=r"^[0-9a-fA-F.:]{2,45}$", description="for h5")
    return_url: str | None = Field(
        default=None, max_length=256, pattern=r"^https?://[!-~]+$",
        description="Where the payer's browser goes afterwards; that it came proves nothing",
    )  # fmt: skip
    expires_in_s: int | None = Field(default=None, ge=60, le=7 * 86400, description="Default: the platform's setting")
    fulfilment: Fulfilment | None = Field(default=None, description="None: nobody waits for what is sold")
    metadata: dict[str, str] = Field(default_factory=dict, max_length=50)


def starting_routes(routes: APIRouter, pay_ins: PayIns, balances: BalancePayments) -> None:
    """Add the routes that start payments."""
    _recharge_route(routes, pay_ins)
    _payment_route(routes, pay_ins, balances)


def _recharge_route(routes: APIRouter, pay_ins: PayIns) -> None:
    @routes.post(
        "/v1/recharges", status_code=201, response_model=RechargeView, tags=["recharges"],
        responses={202: {"model": RechargeView, "description": _UNKNOWN}},
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def start_recharge(
        request: Request, body: NewRecharge, caller: Annotated[Caller, requires("recharges:write")]
    ) -> Response:
        """Start a recharge. Needs an Idempotency-Key. 202 while it is unknown whether the channel has the order."""
        check_metadata(body.metadata)
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/recharges", body=await request.body()
        )
        command = StartPayIn(
            kind=RECHARGE, claim=claim, account=as_id(body.account_id), amount=Money(body.amount, body.currency),
            channel=body.channel, method=Method(body.method), description=body.description,
            business_order_no=body.business_order_no, metadata=body.metadata, payer_id=body.payer_id,
            payer_ip=body.payer_ip,
            merchant_account=None if body.merchant_account is None else as_id(body.merchant_account),
        )  # fmt: skip
        return as_response(await pay_ins.start(command))


def _payment_route(routes: APIRouter, pay_ins: PayIns, balances: BalancePayments) -> None:
    @routes.post(
        "/v1/payments", status_code=201, response_model=PaymentOrderView, tags=["payments"],
        responses={202: {"model": PaymentOrderView, "description": _UNKNOWN}},
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def start_payment(
        request: Request, body: NewPayment, caller: Annotated[Caller, requires("payments:write")]
    ) -> Response:
        """Start a payment for goods. Needs an Idempotency-Key. 202 while it is unknown whether the channel has it.

        From a balance it is paid at once, or refused.
        """
        check_metadata(body.metadata)
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/payments", body=await request.body()
        )
        account, amount = as_id(body.account_id), Money(body.amount, body.currency)
        within_s = None if body.fulfilment is None else body.fulfilment.within_s
        if body.channel == BALANCE:
            command = PayFromBalance(
                claim=claim, payer=_payer(body), account=account, amount=amount, description=body.description,
                business_order_no=body.business_order_no, metadata=body.metadata, fulfil_within_s=within_s,
            )  # fmt: skip
            return as_response(await balances.pay(command))
        if body.method is None:
            raise MissingField("a channel needs a method", param="method")
        if body.payer_account_id is not None:
            raise InvalidField("only for payments from a balance", param="payer_account_id")
        through_channel = StartPayIn(
            kind=PAYMENT, claim=claim, account=account, amount=amount, channel=body.channel,
            method=Method(body.method), description=body.description, business_order_no=body.business_order_no,
            metadata=body.metadata, payer_id=body.payer_id, payer_ip=body.payer_ip, return_url=body.return_url,
            lifetime_s=body.expires_in_s, fulfil_within_s=within_s,
            merchant_account=None if body.merchant_account is None else as_id(body.merchant_account),
        )  # fmt: skip
        return as_response(await pay_ins.start(through_channel))


def _payer(body: NewPayment) -> int:
    """The account that a payment from a balance comes from. Raises `MissingField` or `InvalidField`."""
    if body.payer_account_id is None:
        raise MissingField("a payment from a balance names the payer's account", param="payer_account_id")
    senseless = {"method", "merchant_account", "payer_id", "payer_ip", "return_url", "expires_in_s"}
    for name in body.model_dump(include=senseless, exclude_none=True):
        raise InvalidField("only for payments through a channel", param=name)
    return as_id(body.payer_account_id)
