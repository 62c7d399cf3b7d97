"""HTTP of approvals: what waits, who decided, and the tiers. Proposals are decided at the package that made them."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from tael.approvals import lookup
from tael.approvals.deciding import ApprovalNotFound
from tael.approvals.store import Approval, ApprovalState
from tael.approvals.tier_changes import TierChange, change_tiers, decide_tiers
from tael.approvals.tiers import Tier, changes_of, tiers_of
from tael.approvals.views import (
    ApprovalList,
    ApprovalView,
    NewTiers,
    TiersView,
    TierVerdict,
    approval_view,
    tiers_view,
)
from tael.base.db import Database, Tx
from tael.base.errors import TaelError
from tael.base.http import BadCursor, StrictRoute
from tael.base.ids import Ids
from tael.guard import Caller, requires

Reader = Annotated[Caller, requires("approvals:read")]
Writer = Annotated[Caller, requires("approvals:write")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$", description="`next` of the page before")]
Kind = Annotated[str, Query(pattern="^[a-z][a-z_]{1,31}$")]
Currency = Annotated[str, Query(pattern="^[A-Z]{3}$")]
_CHANGES_SHOWN = 20


class UnknownKind(TaelError):
    """Nothing of this kind is ever approved.
    zh: 没有此类复核事项。
    """

    status = 422


def router(db: Database, ids: Ids, now: Callable[[], datetime], *, kinds: Collection[str]) -> APIRouter:
    """The routes of this package; `kinds` is everything that can wait for approval."""
    routes = APIRouter(route_class=StrictRoute, tags=["approvals"])
    _tier_routes(routes, db, ids, now, kinds)
    _verdict_routes(routes, db, ids, now)
    _reading_routes(routes, db)
    return routes


def _tier_routes(
    routes: APIRouter, db: Database, ids: Ids, now: Callable[[], datetime], kinds: Collection[str]
) -> None:
    @routes.get("/v1/approvals/tiers")
    async def get_approval_tiers(caller: Reader, kind: Kind, currency: Currency = "CNY") -> TiersView:
        """From which amount on how many people must approve."""
        _check_kind(kind, kinds)
        async with db.transaction() as tx:
            return await _tiers(tx, caller.book, kind, currency)

    @routes.put(
        "/v1/approvals/tiers", response_model=TiersView,
        responses={202: {"model": ApprovalView, "description": "Live mode: another person has to approve it"}},
    )  # fmt: skip
    async def put_approval_tiers(caller: Writer, body: NewTiers) -> Response:
        """Replace the tiers of a kind and currency. In live mode another person has to approve that."""
        _check_kind(body.kind, kinds)
        wanted = TierChange(
            caller.book, body.kind, body.currency, [Tier(one.from_amount, one.needed) for one in body.tiers],
            caller.mode, caller.person,
        )  # fmt: skip
        async with db.transaction() as tx:
            done = await change_tiers(tx, wanted, ids=ids, now=now())
            if isinstance(done, Approval):
                return _json(approval_view(done), 202)
            return _json(await _tiers(tx, caller.book, body.kind, body.currency), 200)


def _verdict_routes(routes: APIRouter, db: Database, ids: Ids, now: Callable[[], datetime]) -> None:
    async def decide(caller: Caller, body: TierVerdict, *, approve: bool) -> ApprovalView:
        async with db.transaction() as tx:
            approval = await decide_tiers(
                tx, book=caller.book, kind=body.kind, currency=body.currency, checker=caller.checker(), approve=approve,
                note=body.note, payload_sha256=body.payload_sha256, ids=ids, now=now(),
            )  # fmt: skip
        return approval_view(approval)

    @routes.post("/v1/approvals/tiers/approve")
    async def approve_approval_tiers(caller: Writer, body: TierVerdict) -> ApprovalView:
        """Approve a change of tiers that another person proposed."""
        return await decide(caller, body, approve=True)

    @routes.post("/v1/approvals/tiers/reject")
    async def reject_approval_tiers(caller: Writer, body: TierVerdict) -> ApprovalView:
        """Reject a change of tiers that another person proposed."""
        return await decide(caller, body, approve=False)


def _reading_routes(routes: APIRouter, db: Database) -> None:
    @routes.get("/v1/approvals/{approval_id}")
    async def get_approval(
        caller: Reader, approval_id: Annotated[str, Path(pattern=r"^[1-9][0-9]{0,18}$")]
    ) -> ApprovalView:
        """One approval with what was decided."""
        if int(approval_id) >= 2**63:
            raise ApprovalNotFound
        async with db.transaction() as tx:
            return approval_view(await lookup.get(tx, book=caller.book, id=int(approval_id)))

    @routes.get("/v1/approvals")
    async def list_approvals(
        caller: Reader, limit: Limit = 20, starting_after: Cursor = None,
        kind: Annotated[str | None, Query(pattern="^[a-z][a-z_]{1,31}$")] = None, state: ApprovalState | None = None,
    ) -> ApprovalList:  # fmt: skip
        """Approvals, newest first; `state=pending` is what waits."""
        older = None if starting_after is None else int(starting_after)
        if older is not None and older >= 2**63:
            raise BadCursor(param="starting_after")
        async with db.transaction() as tx:
            found = await lookup.page(
                tx, book=caller.book, kind=kind, state=state, limit=limit + 1, older_than=older
            )  # fmt: skip
        shown, more = found[:limit], len(found) > limit
        return ApprovalList(
            data=[approval_view(one) for one in shown], has_more=more, next=str(shown[-1].id) if more else None
        )


def _check_kind(kind: str, kinds: Collection[str]) -> None:
    if kind not in kinds:
        raise UnknownKind(param="kind", hint=", ".join(sorted(kinds)))


async def _tiers(tx: Tx, book: int, kind: str, currency: str) -> TiersView:
    (tiers,) = await tiers_of(tx, [(book, kind, currency)])
    return tiers_view(tiers, await changes_of(tx, book=book, kind=kind, currency=currency, limit=_CHANGES_SHOWN))


def _json(view: ApprovalView | TiersView, status: int) -> Response:
    return Response(view.model_dump_json(), status_code=status, media_type="application/json")
