"""HTTP of recharges and suspense: decode, guard, one call, encode."""

from typing import Annotated

import segno
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tael.base.errors import TaelError
from tael.base.gate import AmbiguousRequest
from tael.base.http import BadCursor, Body, Instant, InvalidField, StrictRoute
from tael.base.money import MAX_MINOR, Money
from tael.channels.contract import Method
from tael.guard import IDEMPOTENCY_HEADER, Caller, claim_for, idempotency_key, requires
from tael.orders import Filter, OrderNotPayable, OrderState, attempts_of
from tael.orders import page as page_of_orders
from tael.payments import suspense
from tael.payments.handover import Answer
from tael.payments.platform import Platform
from tael.payments.recharge import KIND, Recharges, StartRecharge, find_recharge
from tael.payments.recover import Recovery
from tael.payments.views import RechargeList, RechargeView, SuspenseList, recharge_view, suspense_view

Reader = Annotated[Caller, requires("recharges:read")]
Writer = Annotated[Caller, requires("recharges:write")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$", description="`next` of the page before")]
Number = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", description="A 64-bit id as a string")]


_PERHAPS_UNKNOWN: dict[int | str, dict[str, object]] = {
    202: {"model": RechargeView, "description": "It is not known yet whether the channel has the order"}
}


class _Svg(Response):
    media_type = "image/svg+xml"


class NewRecharge(Body):
    """Recharge an account. `amount` is in minor units (fen)."""

    account_id: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    channel: str = Field(pattern="^[a-z][a-z0-9]{1,31}$", examples=["wechat"])
    method: str = Field(pattern="^(native|jsapi|h5|app)$")
    description: str = Field(min_length=1, max_length=127)
    business_order_no: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,64}$")
    merchant_account: Number | None = Field(default=None, description="Default: the channel's first active one")
    payer_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,128}$", description="openid, for jsapi")
    payer_ip: str | None = Field(default=None, pattern=r"^[0-9a-fA-F.:]{2,45}$", description="for h5")
    metadata: dict[str, str] = Field(default_factory=dict, max_length=50)


class Pay(Body):
    """Ask for a usable hand-off again."""

    method: str | None = Field(default=None, pattern="^(native|jsapi|h5|app)$")


def router(platform: Platform, recharges: Recharges, recovery: Recovery) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute)
    _writing_routes(routes, platform, recharges, recovery)
    _reading_routes(routes, platform)
    _suspense_routes(routes, platform)
    return routes


def _writing_routes(routes: APIRouter, platform: Platform, recharges: Recharges, recovery: Recovery) -> None:
    @routes.post(
        "/v1/recharges", status_code=201, response_model=RechargeView, tags=["recharges"], responses=_PERHAPS_UNKNOWN,
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def start_recharge(request: Request, body: NewRecharge, caller: Writer) -> Response:
        """Start a recharge. Needs an Idempotency-Key. 202 while it is unknown whether the channel has the order."""
        _check_metadata(body.metadata)
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/recharges", body=await request.body()
        )
        command = StartRecharge(
            claim=claim, account=_id(body.account_id), amount=Money(body.amount, body.currency), channel=body.channel,
            method=Method(body.method), description=body.description, business_order_no=body.business_order_no,
            metadata=body.metadata, payer_id=body.payer_id, payer_ip=body.payer_ip,
            merchant_account=None if body.merchant_account is None else _id(body.merchant_account),
        )  # fmt: skip
        return _response(await recharges.start(command))

    @routes.post(
        "/v1/recharges/{order_no}/pay", status_code=201, response_model=RechargeView, tags=["recharges"],
        responses=_PERHAPS_UNKNOWN,
    )  # fmt: skip
    async def pay_recharge(order_no: str, body: Pay, caller: Writer) -> Response:
        """The hand-off of the open attempt, or of a new one when the last failed. One attempt is open at a time."""
        method = None if body.method is None else Method(body.method)
        return _response(await recharges.pay(book=caller.book, order_no=order_no, method=method))

    @routes.post("/v1/recharges/{order_no}/close", tags=["recharges"])
    async def close_recharge(order_no: str, caller: Writer) -> RechargeView:
        """Close an unpaid recharge, at the channel first. 409 when it is paid, or when that is not certain."""
        certain = await recovery.close(book=caller.book, order_no=order_no)
        async with platform.db.transaction() as tx:
            order, attempts = await find_recharge(tx, book=caller.book, order_no=order_no)
        if not certain or order.state is not OrderState.CLOSED:
            raise OrderNotPayable(f"the order is {order.state}", state=order.state)
        return recharge_view(order, attempts)


def _reading_routes(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/v1/recharges/{order_no}", tags=["recharges"])
    async def get_recharge(order_no: str, caller: Reader) -> RechargeView:
        """One recharge with its attempts."""
        async with platform.db.transaction() as tx:
            return recharge_view(*await find_recharge(tx, book=caller.book, order_no=order_no))

    @routes.get("/v1/recharges", tags=["recharges"])
    async def list_recharges(
        caller: Reader, limit: Limit = 20, starting_after: Cursor = None, ending_before: Cursor = None,
        account_id: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$")] = None,
        state: OrderState | None = None,
        created_from: Annotated[Instant | None, Query(alias="created[gte]")] = None,
        created_before: Annotated[Instant | None, Query(alias="created[lt]")] = None,
    ) -> RechargeList:  # fmt: skip
        """Recharges, newest first, by cursor."""
        only = Filter(
            account=None if account_id is None else _id(account_id), states=() if state is None else (state,),
            created_from=created_from, created_before=created_before,
        )  # fmt: skip
        if starting_after is not None and ending_before is not None:
            raise AmbiguousRequest("one cursor at a time")
        async with platform.db.transaction() as tx:
            orders = await page_of_orders(
                tx, book=caller.book, kind=KIND, only=only, limit=limit + 1,
                older_than=_cursor(starting_after), newer_than=_cursor(ending_before),
            )  # fmt: skip
            more = len(orders) > limit
            shown = orders[-limit:] if ending_before is not None else orders[:limit]
            attempts = await attempts_of(tx, shown)
        return RechargeList(
            data=[recharge_view(order, attempts[order.order_no]) for order in shown], has_more=more,
            next=str(shown[-1].id) if shown and more else None,
        )  # fmt: skip

    @routes.get("/v1/recharges/{order_no}/qr.svg", tags=["recharges"], response_class=_Svg)
    async def qr_code(order_no: str, caller: Reader) -> Response:
        """The QR code to show, as SVG."""
        async with platform.db.transaction() as tx:
            _, attempts = await find_recharge(tx, book=caller.book, order_no=order_no)
        handoff = attempts[-1].handoff or {}
        if handoff.get("type") != "qr_code":
            raise NoQrCode
        svg = segno.make(str(handoff["text"]), error="m").svg_inline(scale=4, border=2)
        return _Svg(svg, headers={"Cache-Control": "no-store"})


def _suspense_routes(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/v1/suspense_items", tags=["suspense"])
    async def list_suspense(
        caller: Annotated[Caller, requires("suspense:read")], limit: Limit = 20, starting_after: Cursor = None
    ) -> SuspenseList:
        """Money that arrived and that its order cannot take, newest first."""
        older = _cursor(starting_after)
        async with platform.db.transaction() as tx:
            items = await suspense.page(tx, book=caller.book, limit=limit + 1, older_than=older)
        shown, more = items[:limit], len(items) > limit
        return SuspenseList(
            data=[suspense_view(item) for item in shown], has_more=more, next=str(shown[-1].id) if more else None
        )


class NoQrCode(TaelError):
    """This recharge has no QR code to show.
    zh: 该充值订单没有可展示的二维码。
    """

    status = 409


def _response(said: Answer) -> Response:
    headers = {"Idempotent-Replayed": "true"} if said.replayed else {}
    return Response(said.body, status_code=said.status, headers=headers, media_type="application/json")


def _id(text: str) -> int:
    number = int(text)
    if number >= 2**63:
        raise InvalidField("an id has at most 63 bits")
    return number


def _cursor(text: str | None) -> int | None:
    number = None if text is None else int(text)
    if number is not None and number >= 2**63:
        raise BadCursor
    return number


def _check_metadata(metadata: dict[str, str]) -> None:
    if any(len(name) > 40 or len(value) > 500 for name, value in metadata.items()):
        raise InvalidField("metadata: keys up to 40, values up to 500 characters", param="metadata")
