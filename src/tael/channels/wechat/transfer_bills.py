"""A payout as WeChat describes it: in the acceptance, in a query's answer and, with the same words, inside a notice.

ACCEPTED, PROCESSING, TRANSFERING (so spelt) -> processing   WAIT_USER_CONFIRM -> waiting_for_payee
CANCELING -> cancelling   SUCCESS -> paid   FAIL -> failed   CANCELLED -> cancelled
any other word -> unreadable, so nothing is concluded
"""

import re

import msgspec

from tael.channels.contract import ChannelError, PayoutState, PayoutView
from tael.channels.reading import Unreadable, read_as, read_money, read_name
from tael.channels.verdicts import payout_ended
from tael.channels.wechat.codes import reason_for
from tael.channels.wechat.spec import CURRENCY, PAYOUT_NUMBER, SPEC
from tael.channels.wechat.transactions import read_time

FINISHED = "MCHTRANSFER.BILL.FINISHED"
_STATES = {
    "ACCEPTED": PayoutState.PROCESSING,
    "PROCESSING": PayoutState.PROCESSING,
    "TRANSFERING": PayoutState.PROCESSING,
    "WAIT_USER_CONFIRM": PayoutState.WAITING_FOR_PAYEE,
    "CANCELING": PayoutState.CANCELLING,
    "SUCCESS": PayoutState.PAID,
    "FAIL": PayoutState.FAILED,
    "CANCELLED": PayoutState.CANCELLED,
}
_FINAL = {PayoutState.PAID, PayoutState.FAILED, PayoutState.CANCELLED}


class _Acceptance(msgspec.Struct):
    out_bill_no: str
    state: str
    transfer_bill_no: str | None = None
    package_info: str | None = None


class _Bill(msgspec.Struct):
    out_bill_no: str
    transfer_bill_no: str
    state: str
    transfer_amount: int
    mch_id: str | None = None
    mchid: str | None = None
    update_time: str | None = None
    appid: str | None = None
    fail_reason: str | None = None


_acceptances = msgspec.json.Decoder(_Acceptance)
_bills = msgspec.json.Decoder(_Bill)


def read_acceptance(body: bytes, *, mchid: str) -> PayoutView:
    """The view in the answer to a request or a cancellation of `mchid`, never final. Raises `Unreadable`."""
    found = read_as(_acceptances, body, "acceptance")
    said = _state(found.out_bill_no, found.state)
    if found.package_info and not re.fullmatch(r"[!-~]{1,2048}", found.package_info):
        raise Unreadable("package_info")
    return PayoutView(
        number=found.out_bill_no,
        state=PayoutState.PROCESSING if said in _FINAL else said,
        channel_ref=read_name(found.transfer_bill_no),
        mchid=mchid,
        confirmation=(found.package_info or None) if said is PayoutState.WAITING_FOR_PAYEE else None,
    )


def read_bill(body: bytes) -> PayoutView:
    """The view in a query's answer or a notice. Raises `Unreadable`; what is missing in a notice stays missing."""
    found = read_as(_bills, body, "bill")
    state = _state(found.out_bill_no, found.state)
    mchid, channel_ref = read_name(found.mch_id or found.mchid), read_name(found.transfer_bill_no)
    if mchid is None or channel_ref is None or found.transfer_amount < SPEC.min_minor:
        raise Unreadable("incomplete")
    return PayoutView(
        number=found.out_bill_no,
        state=state,
        channel_ref=channel_ref,
        amount=read_money(found.transfer_amount, CURRENCY),
        mchid=mchid,
        appid=read_name(found.appid),
        paid_at=read_time(found.update_time) if found.update_time and state is PayoutState.PAID else None,
        reason=_reason(state, found.fail_reason),
    )


def read_bill_notice(body: bytes, event: str) -> PayoutView:
    """The finished bill inside a notice. Raises `Unreadable`."""
    view = read_bill(body)
    if event != FINISHED or view.state not in _FINAL:
        raise Unreadable("a bill that is not finished")
    return view


def _state(number: str, word: str) -> PayoutState:
    state = _STATES.get(word)
    if state is None or not PAYOUT_NUMBER.fullmatch(number):
        raise Unreadable("state")
    return state


def _reason(state: PayoutState, code: str | None) -> ChannelError | None:
    """Why it failed; a cancelled one may say why too."""
    if state not in (PayoutState.FAILED, PayoutState.CANCELLED) or not code:
        return None
    reason = reason_for(code)
    return payout_ended(code, kind=reason.kind, retry=reason.retry)
