"""HTTP of adjustments: decode, guard, one call, encode."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tael.adjustments import lookup
from tael.adjustments.deciding import Verdict
from tael.adjustments.desk import Adjustments
from tael.adjustments.legs import MOST_LEGS, Leg
from tael.adjustments.proposing import NewAdjustment
from tael.adjustments.store import AdjustmentState
from tael.adjustments.views import AdjustmentList, AdjustmentView, adjustment_view
from tael.approvals.views import Verdicts
from tael.base.http import BadCursor, Body, InvalidField, StrictRoute
from tael.base.money import MAX_MINOR
from tael.guard import IDEMPOTENCY_HEADER, Caller, claim_for, idempotency_key, requires

Reader = Annotated[Caller, requires("adjustments:read")]
Writer = Annotated[Caller, requires("adjustments:write")]
Checker = Annotated[Caller, requires("adjustments:approve")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$", description="`next` of the page before")]
Number = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", description="A 64-bit id as a string")]
OrderNo = Annotated[str, Field(pattern=r"^[0-9A-Z]{32}$")]


class LegFields(Body):
    """Move `amount` minor units from one account to another."""

    debit: Number
    credit: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")


class ProposeAdjustment(Body):
    """Propose to book by hand: `legs` in `currency`, or `reverses` an adjustment that was posted. The reason is for
    whoever approves; `evidence` refers to a document, `order_no` to the order it is about.
    """

    reason: str = Field(min_length=1, max_length=1000)
    evidence: str | None = Field(default=None, min_length=1, max_length=500)
    order_no: OrderNo | None = None
    currency: str = Field(default="", pattern="^([A-Z]{3})?$")
    legs: list[LegFields] = Field(default_factory=list[LegFields], max_length=MOST_LEGS)
    reverses: OrderNo | None = None


def router(adjustments: Adjustments) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute, tags=["adjustments"])
    _proposing_routes(routes, adjustments)
    _verdict_routes(routes, adjustments)
    _reading_routes(routes, adjustments)
    return routes


def _proposing_routes(routes: APIRouter, adjustments: Adjustments) -> None:
    @routes.post(
        "/v1/adjustments", status_code=201, response_model=AdjustmentView,
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def propose_adjustment(request: Request, body: ProposeAdjustment, caller: Writer) -> Response:
        """Propose an adjustment. Needs an Idempotency-Key. Nothing moves before other people have approved it."""
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/adjustments", body=await request.body()
        )
        new = NewAdjustment(
            book=caller.book, maker=caller.person, request_key=claim.key, reason=body.reason, currency=body.currency,
            legs=[Leg(_id(leg.debit), _id(leg.credit), leg.amount) for leg in body.legs], evidence=body.evidence,
            order_no=body.order_no, reverses=body.reverses,
        )  # fmt: skip
        said = await adjustments.start(claim, new)
        headers = {"Idempotent-Replayed": "true"} if said.replayed else {}
        return Response(said.body, status_code=said.status, headers=headers, media_type="application/json")

    @routes.post("/v1/adjustments/{adjustment_no}/cancel")
    async def cancel_adjustment(adjustment_no: str, caller: Writer) -> AdjustmentView:
        """Withdraw a proposal that waits. 409 when it was decided."""
        done = await adjustments.cancel(book=caller.book, adjustment_no=adjustment_no, person=caller.person)
        return adjustment_view(*done)


def _verdict_routes(routes: APIRouter, adjustments: Adjustments) -> None:
    @routes.post("/v1/adjustments/{adjustment_no}/approve")
    async def approve_adjustment(adjustment_no: str, body: Verdicts, caller: Checker) -> AdjustmentView:
        """Approve what another person proposed; the last approval needed books it. 422 when an account lacks the
        funds: nothing has changed then, not even the decision.
        """
        return adjustment_view(*await adjustments.approve(_verdict(caller, adjustment_no, body)))

    @routes.post("/v1/adjustments/{adjustment_no}/reject")
    async def reject_adjustment(adjustment_no: str, body: Verdicts, caller: Checker) -> AdjustmentView:
        """Reject what another person proposed; one rejection is enough."""
        return adjustment_view(*await adjustments.reject(_verdict(caller, adjustment_no, body)))


def _reading_routes(routes: APIRouter, adjustments: Adjustments) -> None:
    @routes.get("/v1/adjustments/{adjustment_no}")
    async def get_adjustment(adjustment_no: str, caller: Reader) -> AdjustmentView:
        """One adjustment with its legs and what was decided."""
        async with adjustments.db.transaction() as tx:
            return adjustment_view(*await lookup.get(tx, book=caller.book, adjustment_no=adjustment_no))

    @routes.get("/v1/adjustments")
    async def list_adjustments(
        caller: Reader, limit: Limit = 20, starting_after: Cursor = None, state: AdjustmentState | None = None
    ) -> AdjustmentList:
        """Adjustments, newest first; `state=proposed` is what waits."""
        older = None if starting_after is None else int(starting_after)
        if older is not None and older >= 2**63:
            raise BadCursor(param="starting_after")
        async with adjustments.db.transaction() as tx:
            found = await lookup.page(tx, book=caller.book, state=state, limit=limit + 1, older_than=older)
        shown, more = found[:limit], len(found) > limit
        return AdjustmentList(
            data=[adjustment_view(*one) for one in shown], has_more=more, next=str(shown[-1][0].id) if more else None
        )


def _verdict(caller: Caller, adjustment_no: str, body: Verdicts) -> Verdict:
    return Verdict(caller.book, adjustment_no, caller.checker(), body.note, body.payload_sha256)


def _id(text: str) -> int:
    number = int(text)
    if number >= 2**63:
        raise InvalidField("an id has at most 63 bits", param="legs")
    return number
