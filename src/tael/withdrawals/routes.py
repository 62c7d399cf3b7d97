"""HTTP of payees and withdrawals: decode, guard, one call, encode."""

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from tael.approvals.views import Verdicts
from tael.base.gate import AmbiguousRequest
from tael.base.http import BadCursor, Body, Instant, InvalidField, StrictRoute
from tael.base.money import MAX_MINOR, Money
from tael.channels.contract import AlipayUser, BankCard, Payee, WechatUser
from tael.guard import IDEMPOTENCY_HEADER, Caller, claim_for, idempotency_key, requires
from tael.orders import Filter, OrderState
from tael.withdrawals import lookup, payees
from tael.withdrawals.approve import Decisions, Verdict
from tael.withdrawals.lookup import Found
from tael.withdrawals.payees import NewPayee, Payees
from tael.withdrawals.store import PayeeState
from tael.withdrawals.views import (
    PayeeList,
    PayeeView,
    WithdrawalList,
    WithdrawalWithApproval,
    payee_view,
    with_approval,
)
from tael.withdrawals.withdraw import StartWithdrawal, Withdrawals

Reader = Annotated[Caller, requires("withdrawals:read")]
Writer = Annotated[Caller, requires("withdrawals:write")]
Checker = Annotated[Caller, requires("withdrawals:approve")]
PayeeReader = Annotated[Caller, requires("payees:read")]
PayeeWriter = Annotated[Caller, requires("payees:write")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$", description="`next` of the page before")]
Number = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", description="A 64-bit id as a string")]
PayeeId = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,18}$")]
_OWNER = r"^[1-9][0-9]{0,17}$"


class NewPayeeFields(Body):
    """Bind a payee to a member. `number`: the bank card's, the user's openid, or the Alipay user id or login name.

    `holder` is the name that the bank or channel checks; needed for bank cards and Alipay login names. `app_id` is the
    app that the id belongs to: always for WeChat users, and for Alipay's open ids.
    """

    owner: str = Field(pattern=_OWNER, description="Your member's number")
    kind: Literal["bank_card", "wechat_user", "alipay_user"]
    number: str = Field(min_length=4, max_length=100)
    holder: str | None = Field(default=None, min_length=1, max_length=64)
    bank: str | None = Field(default=None, min_length=1, max_length=64)
    mobile: str | None = Field(default=None, pattern=r"^\+?[0-9]{6,15}$")
    app_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z]{1,32}$")
    identity_type: str | None = Field(default=None, pattern=r"^[A-Z_]{1,32}$")


class NewWithdrawal(Body):
    """Withdraw `amount` minor units (fen) of an account to a payee of the same member."""

    account_id: Number
    payee_id: Number
    amount: int = Field(ge=1, le=MAX_MINOR, description="Minor units: 100 is 1.00 CNY")
    currency: str = Field(pattern="^[A-Z]{3}$")
    description: str = Field(min_length=1, max_length=32, description="The payee sees it")
    business_order_no: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_\-]{1,64}$")
    metadata: dict[str, str] = Field(default_factory=dict, max_length=50)


def router(bound: Payees, withdrawals: Withdrawals, decisions: Decisions) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute)
    _payee_routes(routes, bound)
    _starting_routes(routes, withdrawals, decisions)
    _deciding_routes(routes, decisions)
    _reading_routes(routes, bound)
    return routes


def _payee_routes(routes: APIRouter, bound: Payees) -> None:
    @routes.post(
        "/v1/payees", status_code=201, response_model=PayeeView, tags=["payees"],
        responses={200: {"model": PayeeView, "description": "The payee was bound already"}},
    )  # fmt: skip
    async def bind_payee(body: NewPayeeFields, caller: PayeeWriter, response: Response) -> PayeeView:
        """Bind a payee, or find it: 200 when it was bound already. Its number is sealed and never shown again."""
        payee, is_new = await bound.bind(_new_payee(caller.book, body))
        response.status_code = 201 if is_new else 200
        return payee_view(payee)

    @routes.get("/v1/payees/{payee_id}", tags=["payees"])
    async def get_payee(payee_id: PayeeId, caller: PayeeReader) -> PayeeView:
        """One payee, masked."""
        async with bound.db.transaction() as tx:
            return payee_view(await payees.find_payee(tx, book=caller.book, id=_id(payee_id)))

    @routes.get("/v1/payees", tags=["payees"])
    async def list_payees(
        caller: PayeeReader, owner: Annotated[str, Query(pattern=_OWNER)], limit: Limit = 20,
        starting_after: Cursor = None, state: PayeeState | None = None,
    ) -> PayeeList:  # fmt: skip
        """The payees of a member, newest first."""
        async with bound.db.transaction() as tx:
            found = await payees.page(
                tx, book=caller.book, owner=int(owner), state=state, limit=limit + 1, older_than=_cursor(starting_after)
            )
        shown, more = found[:limit], len(found) > limit
        return PayeeList(
            data=[payee_view(one) for one in shown], has_more=more, next=str(shown[-1].id) if more else None
        )

    @routes.delete("/v1/payees/{payee_id}", tags=["payees"])
    async def unbind_payee(payee_id: PayeeId, caller: PayeeWriter) -> PayeeView:
        """Unbind a payee: no new withdrawal goes there; those under way still do."""
        return payee_view(await bound.unbind(book=caller.book, id=_id(payee_id)))


def _starting_routes(routes: APIRouter, withdrawals: Withdrawals, decisions: Decisions) -> None:
    @routes.post(
        "/v1/withdrawals", status_code=201, response_model=WithdrawalWithApproval, tags=["withdrawals"],
        openapi_extra={"parameters": [IDEMPOTENCY_HEADER]},
    )  # fmt: skip
    async def start_withdrawal(request: Request, body: NewWithdrawal, caller: Writer) -> Response:
        """Freeze the amount and ask for approval. Needs an Idempotency-Key. No channel is asked before the approval."""
        if any(len(name) > 40 or len(value) > 500 for name, value in body.metadata.items()):
            raise InvalidField("metadata: keys up to 40, values up to 500 characters", param="metadata")
        claim = claim_for(
            book=caller.book, key=idempotency_key(request), endpoint="POST /v1/withdrawals", body=await request.body()
        )
        said = await withdrawals.start(
            StartWithdrawal(
                claim=claim, account=_id(body.account_id), payee=_id(body.payee_id),
                amount=Money(body.amount, body.currency), description=body.description,
                business_order_no=body.business_order_no, metadata=body.metadata, maker=caller.person,
            )
        )  # fmt: skip
        headers = {"Idempotent-Replayed": "true"} if said.replayed else {}
        return Response(said.body, status_code=said.status, headers=headers, media_type="application/json")

    @routes.post("/v1/withdrawals/{order_no}/cancel", tags=["withdrawals"])
    async def cancel_withdrawal(order_no: str, caller: Writer) -> WithdrawalWithApproval:
        """Withdraw the request and unfreeze the amount. While a channel waits for the payee's confirmation it is called
        back: it stays `paying` and frozen until the channel says that it is cancelled, or that the payee was first. 409
        once a channel was asked that does not wait.
        """
        return _shown(await decisions.cancel(book=caller.book, order_no=order_no, person=caller.person))


def _deciding_routes(routes: APIRouter, decisions: Decisions) -> None:
    @routes.post("/v1/withdrawals/{order_no}/approve", tags=["withdrawals"])
    async def approve_withdrawal(order_no: str, body: Verdicts, caller: Checker) -> WithdrawalWithApproval:
        """Approve what another person asked for; the last approval needed starts the payout."""
        return _shown(await decisions.approve(_verdict(caller, order_no, body)))

    @routes.post("/v1/withdrawals/{order_no}/reject", tags=["withdrawals"])
    async def reject_withdrawal(order_no: str, body: Verdicts, caller: Checker) -> WithdrawalWithApproval:
        """Reject what another person asked for; one rejection is enough, and the amount is unfrozen."""
        return _shown(await decisions.reject(_verdict(caller, order_no, body)))


def _reading_routes(routes: APIRouter, bound: Payees) -> None:
    @routes.get("/v1/withdrawals/{order_no}", tags=["withdrawals"])
    async def get_withdrawal(order_no: str, caller: Reader) -> WithdrawalWithApproval:
        """One withdrawal with its attempts and who decided."""
        async with bound.db.transaction() as tx:
            return _shown(await lookup.find_withdrawal(tx, book=caller.book, order_no=order_no))

    @routes.get("/v1/withdrawals", tags=["withdrawals"])
    async def list_withdrawals(
        caller: Reader, limit: Limit = 20, starting_after: Cursor = None, ending_before: Cursor = None,
        account_id: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$")] = None,
        state: OrderState | None = None,
        created_from: Annotated[Instant | None, Query(alias="created[gte]")] = None,
        created_before: Annotated[Instant | None, Query(alias="created[lt]")] = None,
    ) -> WithdrawalList:  # fmt: skip
        """Withdrawals, newest first, by cursor; `state=reviewing` is what waits for approval."""
        if starting_after is not None and ending_before is not None:
            raise AmbiguousRequest("one cursor at a time")
        only = Filter(
            account=None if account_id is None else _id(account_id), states=() if state is None else (state,),
            created_from=created_from, created_before=created_before,
        )  # fmt: skip
        async with bound.db.transaction() as tx:
            found = await lookup.page(
                tx, book=caller.book, only=only, limit=limit + 1, older_than=_cursor(starting_after),
                newer_than=_cursor(ending_before),
            )  # fmt: skip
        more = len(found) > limit
        shown = found[-limit:] if ending_before is not None else found[:limit]
        return WithdrawalList(
            data=[_shown(one) for one in shown], has_more=more,
            next=str(shown[-1].order.id) if shown and more else None,
        )  # fmt: skip


def _shown(found: Found) -> WithdrawalWithApproval:
    return with_approval(found.order, found.attempts, found.details, found.approval)


def _verdict(caller: Caller, order_no: str, body: Verdicts) -> Verdict:
    return Verdict(caller.book, order_no, caller.checker(), body.note, body.payload_sha256)


def _new_payee(book: int, body: NewPayeeFields) -> NewPayee:
    """The payee that the fields describe. Raises `InvalidField` when they do not fit its kind."""
    needed, allowed = _FIELDS[body.kind]
    given = {
        name for name in ("holder", "bank", "mobile", "app_id", "identity_type") if getattr(body, name) is not None
    }
    for name in sorted(needed - given):
        raise InvalidField(f"a {body.kind} needs it", param=name)
    for name in sorted(given - allowed):
        raise InvalidField(f"a {body.kind} has none", param=name)
    return NewPayee(book, int(body.owner), _payee(body), space=body.app_id or "")


_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "bank_card": ({"holder", "bank"}, {"holder", "bank", "mobile"}),
    "wechat_user": ({"app_id"}, {"app_id", "holder"}),
    "alipay_user": ({"identity_type"}, {"identity_type", "holder", "app_id"}),
}
"""What each kind needs, and what it may have, besides owner and number."""


def _payee(body: NewPayeeFields) -> Payee:
    match body.kind:
        case "bank_card":
            if not (body.number.isascii() and body.number.isdigit() and 8 <= len(body.number) <= 32):
                raise InvalidField("a bank card has 8 to 32 digits", param="number")
            return BankCard(body.number, cast("str", body.holder), cast("str", body.bank), body.mobile)
        case "wechat_user":
            return WechatUser(body.number, body.holder)
        case "alipay_user":
            return AlipayUser(body.number, cast("str", body.identity_type), body.holder)


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
