"""HTTP of transfers, batches of them, and holds: decode, guard, one call, encode."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tael.base.gate import AmbiguousRequest
from tael.base.http import StrictRoute
from tael.guard import IDEMPOTENCY_HEADER, Caller, idempotency_key, requires
from tael.payments.parameters import Cursor, Limit, as_cursor, as_id, as_response
from tael.payments.platform import Platform
from tael.transfers import lookup
from tael.transfers.bodies import MANY, ONE, NewBatch, NewTransfer, batch_command, transfer_command
from tael.transfers.hold_routes import hold_routes
from tael.transfers.holds import Holds
from tael.transfers.lookup import Direction
from tael.transfers.transfer import Transfers
from tael.transfers.views import BatchView, TransferList, TransferView, transfer_view

Reader = Annotated[Caller, requires("transfers:read")]
Writer = Annotated[Caller, requires("transfers:write")]
_HEADER: dict[str, object] = {"parameters": [IDEMPOTENCY_HEADER]}


def router(platform: Platform, transfers: Transfers, holds: Holds) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute, tags=["transfers"])
    _writing_routes(routes, transfers)
    _reading_routes(routes, platform)
    hold_routes(routes, platform, holds)
    return routes


def _writing_routes(routes: APIRouter, transfers: Transfers) -> None:
    @routes.post(ONE, status_code=201, response_model=TransferView, openapi_extra=_HEADER)
    async def start_transfer(request: Request, body: NewTransfer, caller: Writer) -> Response:
        """Transfer at once, or not at all. Needs an Idempotency-Key."""
        key, raw = idempotency_key(request), await request.body()
        return as_response(await transfers.start(transfer_command(body, book=caller.book, key=key, raw=raw)))

    @routes.post(MANY, status_code=201, response_model=BatchView, openapi_extra=_HEADER)
    async def start_batch(request: Request, body: NewBatch, caller: Writer) -> Response:
        """Make up to 500 transfers. Needs an Idempotency-Key.

        An atomic batch is refused as a whole, with the code of its first refused transfer and its `place`. Of any
        other, the answer says at each place what was done or why not; only what was done has left a trace.
        """
        key, raw = idempotency_key(request), await request.body()
        return as_response(await transfers.start_batch(batch_command(body, book=caller.book, key=key, raw=raw)))


def _reading_routes(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/v1/transfers/{order_no}")
    async def get_transfer(order_no: str, caller: Reader) -> TransferView:
        """One transfer."""
        async with platform.db.transaction() as tx:
            return transfer_view(await lookup.find_transfer(tx, book=caller.book, order_no=order_no))

    @routes.get("/v1/transfer_batches/{batch_no}")
    async def get_batch(batch_no: str, caller: Reader) -> BatchView:
        """One batch with its transfers, and with what was refused."""
        async with platform.db.transaction() as tx:
            return BatchView.model_validate(await lookup.find_batch(tx, book=caller.book, batch_no=batch_no))

    @routes.get("/v1/transfers")
    async def list_transfers(
        caller: Reader, account_id: Annotated[str, Query(pattern=r"^[0-9]{1,19}$")],
        direction: Annotated[Direction, Query()], limit: Limit = 20, starting_after: Cursor = None,
        ending_before: Cursor = None,
    ) -> TransferList:  # fmt: skip
        """Transfers out of an account or into it, newest first, by cursor."""
        if starting_after is not None and ending_before is not None:
            raise AmbiguousRequest("one cursor at a time")
        async with platform.db.transaction() as tx:
            found = await lookup.page(
                tx, book=caller.book, account=as_id(account_id), direction=direction, limit=limit + 1,
                older_than=as_cursor(starting_after), newer_than=as_cursor(ending_before),
            )  # fmt: skip
        more = len(found) > limit
        shown = found[-limit:] if ending_before is not None else found[:limit]
        return TransferList(
            data=[transfer_view(one) for one in shown], has_more=more,
            next=str(shown[-1].id) if shown and more else None,
        )  # fmt: skip
