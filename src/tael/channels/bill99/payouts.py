"""Paying a bank card from the member's balance: asking, querying. Pure.

    request -> accepted, no more: processing                        (errorCode 0000 and our order, sealed)
    query   -> 100, 101 processing   111 paid   112 failed   114 returned, which may come days after 111
               any other status: unreadable, so nothing is concluded

Only the query's sealed answer says that money moved or came back. "No such order" (Q0018) is the one word believed
without a seal, because it frees nothing: it means pending, and the identical request is all that may follow. 99bill
keeps one order per number, so that request can never pay twice.

A question spans at most seven days of asking, in Beijing time. It starts when the payout was first asked for, if the
caller knows, and covers the days before now if not.
"""

import re
from datetime import UTC, datetime, timedelta

from tael.base.clock import ACCOUNTING_ZONE
from tael.base.money import Money
from tael.channels.bill99 import documents
from tael.channels.bill99.codes import reason_for
from tael.channels.bill99.documents import Element
from tael.channels.bill99.messages import ACCEPTED, PAY, QUERY, build, judge
from tael.channels.bill99.spec import CURRENCY, PAYOUT_NUMBER, SPEC
from tael.channels.contract import (
    BankCard,
    ChannelError,
    ErrorKind,
    MerchantAccount,
    Outcome,
    PayoutNotPossible,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    PayoutView,
    Result,
)
from tael.channels.exchange import HttpRequest, HttpResponse
from tael.channels.reading import Unreadable, read_money
from tael.channels.verdicts import payout_ended

SPAN = timedelta(days=7)
_SLACK = timedelta(minutes=10)
_PAYER_PAYS_FEE = "1"
_STATES = {
    "100": PayoutState.PROCESSING,
    "101": PayoutState.PROCESSING,
    "111": PayoutState.PAID,
    "112": PayoutState.FAILED,
    "114": PayoutState.RETURNED,
}


def check(account: MerchantAccount, request: PayoutRequest) -> None:
    """Refuse what 99bill would refuse, and any payout of a paused account. Raises `PayoutNotPossible`."""
    if account.state != "active":
        raise PayoutNotPossible("the merchant account is paused", param="merchant_account")
    check_content(account, request)


def check_content(account: MerchantAccount, request: PayoutRequest) -> None:
    """Refuse what 99bill would refuse. Raises `PayoutNotPossible` naming the field."""
    amount, card = request.amount, request.payee
    if not isinstance(card, BankCard):
        raise PayoutNotPossible("99bill pays bank cards only", param="payee")
    wrong = {
        "merchant_account": not re.fullmatch(r"[0-9]{1,32}", account.mchid),
        "number": not PAYOUT_NUMBER.fullmatch(request.number),
        "currency": amount.currency not in SPEC.currencies,
        "amount": not SPEC.min_minor <= amount.minor <= SPEC.max_minor,
        "payee": not re.fullmatch(r"[0-9]{8,32}", card.number),
        "payee_name": not _legible(card.holder, most=64),
        "payee_bank": not _legible(card.bank, most=64),
        "payee_mobile": card.mobile is not None and not re.fullmatch(r"1[0-9]{10}", card.mobile),
        "remark": not _legible(request.remark, most=64),
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise PayoutNotPossible(f"99bill does not take this {field}", param=field)


def build_payout(account: MerchantAccount, request: PayoutRequest, *, data_key: bytes) -> HttpRequest:
    """The order to pay; the same content each time, though a seal never looks the same twice.

    The account may be paused meanwhile: repeating what was once asked is how its end is found out.
    """
    check_content(account, request)
    card = request.payee
    assert isinstance(card, BankCard)
    order = [
        ("orderId", request.number), ("bankName", card.bank), ("creditName", card.holder),
        ("mobile", card.mobile or ""), ("bankAcctId", card.number), ("amount", str(request.amount.minor)),
        ("remark", request.remark), ("feeAction", _PAYER_PAYS_FEE),
    ]  # fmt: skip
    return build(account, PAY, documents.write("pay2bankOrder", order), data_key=data_key)


def parse_payout(
    account: MerchantAccount, request: PayoutRequest, sent: HttpRequest, response: HttpResponse
) -> Result[PayoutView]:
    """Whether the payout was accepted; never a final state. Any refusal is UNKNOWN."""

    def read(plaintext: bytes) -> PayoutView:
        order = documents.read(plaintext, "pay2bankOrder")
        if order.child("orderId").text != request.number or order.said("errorCode") not in ("", ACCEPTED):
            raise Unreadable("another order, or a refusal inside an acceptance")
        return PayoutView(
            number=request.number, state=PayoutState.PROCESSING, amount=_money(order), mchid=account.mchid
        )

    return judge(account, PAY, sent, response, read=read)


def build_query_payout(account: MerchantAccount, ref: PayoutRef, *, now: datetime, data_key: bytes) -> HttpRequest:
    """The question for a payout's state."""
    assert PAYOUT_NUMBER.fullmatch(ref.number), "payout numbers are ours and fit"
    start = (ref.asked_at or now + 2 * _SLACK - SPAN) - _SLACK
    question = [
        ("targetPage", "1"), ("pageSize", "20"), ("orderId", ref.number),
        ("startDate", _beijing(start)), ("endDate", _beijing(start + SPAN)),
    ]  # fmt: skip
    return build(account, QUERY, documents.write("pay2bankSearchRequestParam", question), data_key=data_key)


def parse_query_payout(
    account: MerchantAccount, ref: PayoutRef, sent: HttpRequest, response: HttpResponse
) -> Result[PayoutView]:
    """The state in the reply to `build_query_payout`. "No such order" is an answer, which means pending."""

    def read(plaintext: bytes) -> PayoutView:
        found = documents.read(plaintext, "pay2bankSearchResult").all("resultList")
        if len(found) != 1 or found[0].child("orderId").text != ref.number:
            raise Unreadable("not exactly our order")
        return _view(found[0], mchid=account.mchid)

    answer = judge(account, QUERY, sent, response, read=read)
    if answer.error is None or answer.error.kind is not ErrorKind.NOT_FOUND:
        return answer
    absent = PayoutView(number=ref.number, state=PayoutState.NOT_FOUND)
    return Result(Outcome.SUCCEEDED, absent, answer.error, answer.raw)


def _view(order: Element, *, mchid: str) -> PayoutView:
    state, channel_ref = _STATES.get(order.child("status").text), order.child("orderSeqId").text
    if state is None or not re.fullmatch(r"[0-9A-Za-z_\-]{1,64}", channel_ref):
        raise Unreadable("status")
    if order.said("payerMembercode") not in ("", mchid):
        raise Unreadable("another member's order")
    back = state in (PayoutState.FAILED, PayoutState.RETURNED)
    return PayoutView(
        number=order.child("orderId").text,
        state=state,
        channel_ref=channel_ref,
        amount=_money(order),
        mchid=mchid,
        paid_at=_time(order.said("endDate")) if state is PayoutState.PAID else None,
        reason=_reason(order.said("errorCode")) if back else None,
    )


def _money(order: Element) -> Money:
    text = order.child("amount").text
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < SPEC.min_minor:
        raise Unreadable("amount")
    return read_money(int(text), CURRENCY)


def _reason(code: str) -> ChannelError:
    rule = reason_for(code)
    return payout_ended(code, kind=rule.kind, retry=rule.retry)


def _time(text: str) -> datetime | None:
    """When it was paid. Of no weight for the money, so a form that we do not know is not told on."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ACCOUNTING_ZONE).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _beijing(instant: datetime) -> str:
    return instant.astimezone(ACCOUNTING_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _legible(text: str, *, most: int) -> bool:
    return 1 <= len(text) <= most and text.isprintable() and text.strip() == text
