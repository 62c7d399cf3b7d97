"""A payout as Alipay describes it: in the reply to the request, in a query's answer and in a notice.

SUCCESS -> paid   WAIT_PAY, DEALING -> processing   FAIL, CLOSED -> failed, the money is ours again
REFUND  -> returned: it came back after it had succeeded
any other word -> unreadable, so nothing is concluded
"""

import msgspec

from tael.base.money import Money
from tael.channels.alipay.codes import reason_for
from tael.channels.alipay.spec import LEAST_PAYOUT_MINOR
from tael.channels.alipay.writing import read_json, read_number, read_time, read_yuan
from tael.channels.contract import ChannelError, MerchantAccount, PayoutState, PayoutView
from tael.channels.reading import Unreadable, read_name
from tael.channels.verdicts import payout_ended

_STATES = {
    "SUCCESS": PayoutState.PAID,
    "WAIT_PAY": PayoutState.PROCESSING,
    "DEALING": PayoutState.PROCESSING,
    "FAIL": PayoutState.FAILED,
    "CLOSED": PayoutState.FAILED,
    "REFUND": PayoutState.RETURNED,
}


class _Transfer(msgspec.Struct):
    out_biz_no: str
    status: str
    order_id: str = ""
    trans_amount: str = ""
    pay_date: str = ""
    trans_date: str = ""
    error_code: str = ""


_decoder = msgspec.json.Decoder(_Transfer)


def read_transfer(node: bytes, account: MerchantAccount, *, asked: Money | None = None) -> PayoutView:
    """The view in a node or a notice. Raises `Unreadable`; a paid one is complete or unreadable.

    `asked`: the amount of the request that this replies to, because that reply does not repeat it.
    """
    found = read_json(_decoder, node)
    state = _STATES.get(found.status)
    if state is None:
        raise Unreadable("status")
    amount = read_yuan(found.trans_amount) if found.trans_amount else asked
    if amount is not None and amount.minor < LEAST_PAYOUT_MINOR:
        raise Unreadable("amount")
    channel_ref = read_name(found.order_id)
    if state is PayoutState.PAID and None in (amount, channel_ref):
        raise Unreadable("incomplete")
    paid = found.pay_date or found.trans_date
    return PayoutView(
        number=read_number(found.out_biz_no),
        state=state,
        channel_ref=channel_ref,
        amount=amount,
        mchid=account.mchid,
        appid=account.appid,
        paid_at=read_time(paid) if paid and state is PayoutState.PAID else None,
        reason=_reason(state, found.error_code),
    )


def _reason(state: PayoutState, word: str) -> ChannelError | None:
    if state not in (PayoutState.FAILED, PayoutState.RETURNED) or not word:
        return None
    reason = reason_for(word)
    return payout_ended(word, kind=reason.kind, retry=reason.retry)
