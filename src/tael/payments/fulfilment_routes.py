"""HTTP of fulfilment: a business says that it has made what was paid for, and looks what is waited for."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from tael.base.http import Body
from tael.guard import Caller, requires
from tael.payments.fulfilment import (
    Fulfilment,
    FulfilmentNotExpected,
    Fulfilments,
    FulfilmentState,
    find_fulfilment,
)
from tael.payments.kinds import PAYMENT
from tael.payments.platform import Platform
from tael.payments.start import find_pay_in
from tael.payments.views import View


class Fulfil(Body):
    """What was paid for is made. `reference`: your own number of it, such as that of a parcel or a voucher."""

    reference: str | None = Field(default=None, min_length=1, max_length=128)


class FulfilmentView(View, frozen=True):
    """What has to be made for a payment within `within_s` seconds after it is paid.

    While it is expected you are reminded at `due_at` by the event `payment.fulfilment_due`; `times_asked` counts that.
    """

    order_no: str
    object: Literal["fulfilment"] = "fulfilment"
    state: FulfilmentState
    within_s: int
    due_at: datetime | None
    times_asked: int
    fulfilled_at: datetime | None
    reference: str | None


def fulfilment_routes(routes: APIRouter, platform: Platform) -> None:
    """Add the routes of fulfilment."""
    fulfilments = Fulfilments(platform)

    @routes.post("/v1/payments/{order_no}/fulfil", tags=["payments"])
    async def fulfil_payment(
        order_no: str, body: Fulfil, caller: Annotated[Caller, requires("payments:write")]
    ) -> FulfilmentView:
        """Say that what was paid for is made. Once more with the same reference changes nothing."""
        return _view(await fulfilments.fulfil(book=caller.book, order_no=order_no, reference=body.reference))

    @routes.get("/v1/payments/{order_no}/fulfilment", tags=["payments"])
    async def get_fulfilment(
        order_no: str, caller: Annotated[Caller, requires("payments:read")]
    ) -> FulfilmentView:  # fmt: skip
        """Whether what was paid for is made. 409 when the payment was started without `fulfilment`."""
        async with platform.db.transaction() as tx:
            await find_pay_in(tx, PAYMENT, book=caller.book, order_no=order_no)
            found = await find_fulfilment(tx, book=caller.book, order_no=order_no)
        if found is None:
            raise FulfilmentNotExpected
        return _view(found)

    del fulfil_payment, get_fulfilment


def _view(found: Fulfilment) -> FulfilmentView:
    return FulfilmentView(
        order_no=found.order_no, state=found.state, within_s=found.within_s, due_at=found.due_at,
        times_asked=found.times_asked, fulfilled_at=found.fulfilled_at, reference=found.reference,
    )  # fmt: skip
