"""HTTP of holds: freeze, unfreeze, look."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from tael.base.http import Body
from tael.base.money import MAX_MINOR, Money
from tael.guard import IDEMPOTENCY_HEADER, Caller, claim_for, idempotency_key, requires
from tael.payments.parameters import Cursor, Limit, Number, as_cursor, as_id, as_response
from tael.payments.platform import Platform
from tael.transfers import lookup
from tael.transfers.holds import Holds, StartHold
from tael.transfers.views import HoldList, HoldView, hold_view

Reader = Annotated[Caller, requires("transfers:read")]
Writer = Annotated[Caller, requires("transfers:write")]
HoldId = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,18}$")]


class NewHold(Body):
    """Freeze `amount` minor units (fen) of an account. `expires_in_s`: when it ends by itself; default never."""

    account_id: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    reason: str = Field(min_length=1, max_length=127)
    expires_in_s: int | None = Field(default=None, ge=1, le=366 * 86_400)


def hold_routes(routes: APIRouter, platform: Platform, holds: Holds) -> None:
    """Add the routes of holds."""

    @routes.post(
        "/v1/holds", status_code=201, response_model=HoldView, tags=["holds"],
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def start_hold(request: Request, body: NewHold, caller: Writer) -> Response:
        """Freeze funds (冻结). Needs an Idempotency-Key."""
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/holds", body=await request.body()
        )
        amount = Money(body.amount, body.currency)
        command = StartHold(claim, as_id(body.account_id), amount, body.reason, body.expires_in_s)
        return as_response(await holds.start(command))

    @routes.post("/v1/holds/{hold_id}/release", tags=["holds"])
    async def release_hold(hold_id: HoldId, caller: Writer) -> HoldView:
        """Unfreeze (解冻); again changes nothing. 409 when a transfer has used it or its time is over."""
        return hold_view(await holds.release(book=caller.book, id=as_id(hold_id)), now=platform.now())

    @routes.get("/v1/holds/{hold_id}", tags=["holds"])
    async def get_hold(hold_id: HoldId, caller: Reader) -> HoldView:
        """One hold."""
        async with platform.db.transaction() as tx:
            found = await lookup.find_hold(tx, book=caller.book, id=as_id(hold_id))
        return hold_view(found, now=platform.now())

    @routes.get("/v1/holds", tags=["holds"])
    async def list_holds(
        caller: Reader, account_id: Annotated[str, Query(pattern=r"^[0-9]{1,19}$")], limit: Limit = 20,
        starting_after: Cursor = None,
    ) -> HoldList:  # fmt: skip
        """The holds of an account, newest first."""
        async with platform.db.transaction() as tx:
            found = await lookup.page_of_holds(
                tx, book=caller.book, account=as_id(account_id), limit=limit + 1, older_than=as_cursor(starting_after)
            )
        shown, more = found[:limit], len(found) > limit
        return HoldList(
            data=[hold_view(one, now=platform.now()) for one in shown], has_more=more,
            next=str(shown[-1].id) if more else None,
        )  # fmt: skip

    del start_hold, release_hold, get_hold, list_holds
