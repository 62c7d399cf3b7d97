"""HTTP of payments: decode, guard, one call, encode. Every kind of money in has the same routes under its own name."""

from typing import Annotated

import segno
from fastapi import APIRouter, Query, Response
from pydantic import Field

from tael.base.errors import TaelError
from tael.base.gate import AmbiguousRequest
from tael.base.http import Body, Instant, StrictRoute
from tael.channels.contract import Method
from tael.guard import Caller, requires
from tael.orders import Filter, OrderNotPayable, OrderState, attempts_of
from tael.orders import page as page_of_orders
from tael.payments import suspense
from tael.payments.from_balance import BalancePayments
from tael.payments.fulfilment_routes import fulfilment_routes
from tael.payments.kinds import PAYMENT, RECHARGE, Kind
from tael.payments.parameters import Cursor, Limit, as_cursor, as_id, as_response
from tael.payments.platform import Platform
from tael.payments.recover import Recovery
from tael.payments.start import PayAgain, PayIns, find_pay_in
from tael.payments.starting_routes import starting_routes
from tael.payments.switch import Switch
from tael.payments.views import (
    OrderView,
    PaymentList,
    PaymentOrderView,
    RechargeList,
    RechargeView,
    SuspenseList,
    order_view,
    suspense_view,
)

_SHOWN: tuple[tuple[Kind, type[OrderView], type[RechargeList | PaymentList]], ...] = (
    (RECHARGE, RechargeView, RechargeList),
    (PAYMENT, PaymentOrderView, PaymentList),
)


class _Svg(Response):
    media_type = "image/svg+xml"


class Pay(Body):
    """Ask for a usable hand-off again, through another channel if so wished: the open attempt is closed first then."""

    method: str | None = Field(default=None, pattern="^(native|jsapi|h5|app|page)$")
    channel: str | None = Field(default=None, pattern="^[a-z][a-z0-9]{1,31}$")
    payer_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,128}$", description="openid, for jsapi")
    payer_ip: str | None = Field(default=None, pattern=r"^[0-9a-fA-F.:]{2,45}$", description="for h5")


def router(platform: Platform, pay_ins: PayIns, balances: BalancePayments, recovery: Recovery) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute)
    starting_routes(routes, pay_ins, balances)
    fulfilment_routes(routes, platform)
    switch = Switch(platform, pay_ins, recovery)
    for kind, view, list_view in _SHOWN:
        _writing_routes(routes, kind, view, platform, switch, recovery)
        _reading_routes(routes, kind, view, platform)
        _list_route(routes, kind, list_view, platform)
    _suspense_routes(routes, platform)
    return routes


def _writing_routes(
    routes: APIRouter, kind: Kind, view: type[OrderView], platform: Platform, switch: Switch, recovery: Recovery
) -> None:
    writer = requires(f"{kind.plural}:write")
    unknown = "It is not known yet whether the channel has the order"

    @routes.post(
        f"/v1/{kind.plural}/{{order_no}}/pay", status_code=201, response_model=view, tags=[kind.plural],
        name=f"pay_{kind.name}", responses={202: {"model": view, "description": unknown}},
    )  # fmt: skip
    async def pay(order_no: str, body: Pay, caller: Annotated[Caller, writer]) -> Response:
        """The hand-off of the open attempt, or of a new one when the last failed. One attempt is open at a time.

        409 when another channel is wished and the open attempt cannot be closed for certain.
        """
        command = PayAgain(
            kind, caller.book, order_no, None if body.method is None else Method(body.method), body.channel,
            body.payer_id, body.payer_ip,
        )  # fmt: skip
        return as_response(await switch.pay(command))

    @routes.post(
        f"/v1/{kind.plural}/{{order_no}}/close", response_model=view, tags=[kind.plural], name=f"close_{kind.name}",
        description=f"Close an unpaid {kind.name}, at the channel first. 409 when it is paid, or when that is not"
        " certain.",
    )  # fmt: skip
    async def close(order_no: str, caller: Annotated[Caller, writer]) -> OrderView:
        certain = await recovery.close(book=caller.book, order_no=order_no, kind=kind)
        async with platform.db.transaction() as tx:
            order, attempts = await find_pay_in(tx, kind, book=caller.book, order_no=order_no)
        if not certain or order.state is not OrderState.CLOSED:
            raise OrderNotPayable(f"the order is {order.state}", state=order.state)
        return order_view(order, attempts)

    del pay, close


def _reading_routes(routes: APIRouter, kind: Kind, view: type[OrderView], platform: Platform) -> None:
    reader = requires(f"{kind.plural}:read")

    @routes.get(
        f"/v1/{kind.plural}/{{order_no}}", response_model=view, tags=[kind.plural], name=f"get_{kind.name}",
        description=f"One {kind.name} with its attempts.",
    )  # fmt: skip
    async def get(order_no: str, caller: Annotated[Caller, reader]) -> OrderView:
        async with platform.db.transaction() as tx:
            return order_view(*await find_pay_in(tx, kind, book=caller.book, order_no=order_no))

    @routes.get(f"/v1/{kind.plural}/{{order_no}}/qr.svg", tags=[kind.plural], response_class=_Svg, name="qr_code")
    async def qr_code(order_no: str, caller: Annotated[Caller, reader]) -> Response:
        """The QR code to show, as SVG."""
        async with platform.db.transaction() as tx:
            _, attempts = await find_pay_in(tx, kind, book=caller.book, order_no=order_no)
        handoff = attempts[-1].handoff or {}
        if handoff.get("type") != "qr_code":
            raise NoQrCode
        svg = segno.make(str(handoff["text"]), error="m").svg_inline(scale=4, border=2)
        return _Svg(svg, headers={"Cache-Control": "no-store"})

    del get, qr_code


def _list_route(routes: APIRouter, kind: Kind, view: type[RechargeList | PaymentList], platform: Platform) -> None:
    reader = requires(f"{kind.plural}:read")

    @routes.get(
        f"/v1/{kind.plural}", response_model=view, tags=[kind.plural], name=f"list_{kind.plural}",
        description=f"{kind.plural.capitalize()}, newest first, by cursor.",
    )  # fmt: skip
    async def list_orders(
        caller: Annotated[Caller, reader], limit: Limit = 20, starting_after: Cursor = None,
        ending_before: Cursor = None, account_id: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$")] = None,
        state: OrderState | None = None,
        business_order_no: Annotated[str | None, Query(pattern=r"^[0-9A-Za-z_\-]{1,64}$")] = None,
        created_from: Annotated[Instant | None, Query(alias="created[gte]")] = None,
        created_before: Annotated[Instant | None, Query(alias="created[lt]")] = None,
    ) -> RechargeList | PaymentList:  # fmt: skip
        only = Filter(
            account=None if account_id is None else as_id(account_id), states=() if state is None else (state,),
            created_from=created_from, created_before=created_before, business_order_no=business_order_no,
        )  # fmt: skip
        if starting_after is not None and ending_before is not None:
            raise AmbiguousRequest("one cursor at a time")
        async with platform.db.transaction() as tx:
            orders = await page_of_orders(
                tx, book=caller.book, kind=kind.name, only=only, limit=limit + 1,
                older_than=as_cursor(starting_after), newer_than=as_cursor(ending_before),
            )  # fmt: skip
            more = len(orders) > limit
            shown = orders[-limit:] if ending_before is not None else orders[:limit]
            attempts = await attempts_of(tx, shown)
        data = [order_view(order, attempts[order.order_no]) for order in shown]
        return view.model_validate(
            {"data": data, "has_more": more, "next": str(shown[-1].id) if shown and more else None}
        )

    del list_orders


def _suspense_routes(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/v1/suspense_items", tags=["suspense"])
    async def list_suspense(
        caller: Annotated[Caller, requires("suspense:read")], limit: Limit = 20, starting_after: Cursor = None
    ) -> SuspenseList:
        """Money that arrived and that its order cannot take, newest first."""
        older = as_cursor(starting_after)
        async with platform.db.transaction() as tx:
            items = await suspense.page(tx, book=caller.book, limit=limit + 1, older_than=older)
        shown, more = items[:limit], len(items) > limit
        return SuspenseList(
            data=[suspense_view(item) for item in shown], has_more=more, next=str(shown[-1].id) if more else None
        )


class NoQrCode(TaelError):
    """This order has no QR code to show.
    zh: 该订单没有可展示的二维码。
    """

    status = 409
