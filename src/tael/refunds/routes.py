"""HTTP of refunds: decode, guard, one call, encode. No field of any request names where the money is to go."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tael.base.gate import AmbiguousRequest
from tael.base.http import Body, Instant, MissingField, StrictRoute
from tael.base.money import MAX_MINOR, Money
from tael.guard import IDEMPOTENCY_HEADER, Caller, claim_for, idempotency_key, requires
from tael.orders import Filter, OrderState, find_orders
from tael.payments.kinds import PAYMENT
from tael.payments.parameters import BusinessNo, Cursor, Limit, as_cursor, as_id, as_response
from tael.payments.platform import Platform
from tael.payments.start import find_pay_in
from tael.refunds import lookup, store
from tael.refunds.asking import StartRefund
from tael.refunds.desk import Refunds
from tael.refunds.views import RefundList, RefundOrderView

Reader = Annotated[Caller, requires("refunds:read")]
_NOT_YET = "It has not been sent yet, or it is not known whether the channel has it"


class NewRefund(Body):
    """Refund a payment in whole or in part, to where it came from. `amount` is in minor units (fen).

    The payment is named by `payment_no`, its order number, or by `business_order_no`, the merchant's own.
    """

    payment_no: str | None = Field(default=None, pattern=r"^[0-9A-Z]{32}$")
    business_order_no: BusinessNo | None = None
    business_refund_no: BusinessNo
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    reason: str = Field(min_length=1, max_length=80, description="Shown to the payer by some channels")


def router(platform: Platform, refunds: Refunds) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute, tags=["refunds"])
    _writing_routes(routes, refunds)
    _reading_routes(routes, platform)
    _list_routes(routes, platform)
    return routes


def _writing_routes(routes: APIRouter, refunds: Refunds) -> None:
    @routes.post(
        "/v1/refunds", status_code=201, response_model=RefundOrderView,
        responses={202: {"model": RefundOrderView, "description": _NOT_YET}},
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def start_refund(
        request: Request, body: NewRefund, caller: Annotated[Caller, requires("refunds:write")]
    ) -> Response:
        """Start a refund. Needs an Idempotency-Key. 201 says that the channel has it, or that it is done.

        422 when more is asked back than is left, or when the account that was paid does not have it any more.
        """
        if (body.payment_no is None) == (body.business_order_no is None):
            raise MissingField("name the payment by one of payment_no and business_order_no", param="payment_no")
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/refunds", body=await request.body()
        )
        command = StartRefund(claim, Money(body.amount, body.currency), body.reason, body.business_refund_no)
        return as_response(
            await refunds.start(command, payment_no=body.payment_no, business_order_no=body.business_order_no)
        )

    @routes.post(
        "/v1/suspense_items/{item_id}/refund", status_code=201, response_model=RefundOrderView, tags=["suspense"],
        responses={202: {"model": RefundOrderView, "description": _NOT_YET}},
    )  # fmt: skip
    async def refund_suspense_item(item_id: str, caller: Annotated[Caller, requires("suspense:write")]) -> Response:
        """Give the money of a suspense item back to its source. An item has one refund: asking again shows it."""
        number = as_id(item_id) if item_id.isascii() and item_id.isdigit() and len(item_id) <= 19 else 0
        return as_response(await refunds.refund_item(book=caller.book, item=number))


def _reading_routes(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/v1/refunds/{refund_no}")
    async def get_refund(refund_no: str, caller: Reader) -> RefundOrderView:
        """One refund."""
        async with platform.db.transaction() as tx:
            return await lookup.find_refund(tx, book=caller.book, order_no=refund_no)

    @routes.get("/v1/payments/{order_no}/refunds", tags=["payments"])
    async def list_refunds_of_payment(order_no: str, caller: Reader) -> RefundList:
        """The refunds of one payment, newest first; all of them."""
        async with platform.db.transaction() as tx:
            payment, _ = await find_pay_in(tx, PAYMENT, book=caller.book, order_no=order_no)
            refunds = (await store.of_payments(tx, [(payment.book, order_no)]))[payment.book, order_no]
            newest = await find_orders(tx, [(one.book, one.order_no) for one in refunds])
            return RefundList(data=await lookup.views_of(tx, newest), has_more=False, next=None)


def _list_routes(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/v1/refunds")
    async def list_refunds(
        caller: Reader, limit: Limit = 20, starting_after: Cursor = None, ending_before: Cursor = None,
        account_id: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$")] = None, state: OrderState | None = None,
        business_refund_no: Annotated[str | None, Query(pattern=r"^[0-9A-Za-z_\-]{1,64}$")] = None,
        created_from: Annotated[Instant | None, Query(alias="created[gte]")] = None,
        created_before: Annotated[Instant | None, Query(alias="created[lt]")] = None,
    ) -> RefundList:  # fmt: skip
        """Refunds, newest first, by cursor."""
        only = Filter(
            account=None if account_id is None else as_id(account_id), states=() if state is None else (state,),
            created_from=created_from, created_before=created_before, business_order_no=business_refund_no,
        )  # fmt: skip
        if starting_after is not None and ending_before is not None:
            raise AmbiguousRequest("one cursor at a time")
        async with platform.db.transaction() as tx:
            found = await lookup.page(
                tx, book=caller.book, only=only, limit=limit + 1, older_than=as_cursor(starting_after),
                newer_than=as_cursor(ending_before),
            )  # fmt: skip
        more = len(found) > limit
        shown = found[-limit:] if ending_before is not None else found[:limit]
        return RefundList(data=shown, has_more=more, next=shown[-1].id if shown and more else None)
