"""Controls of refunds, transfers and balances: what banks, users and time do to money on its way from the merchant.

GET  refunds | transfers
POST refunds/settle | refunds/close | refunds/abnormal              how a running refund ends
POST transfers/confirm | transfers/fail | transfers/cancel          how a transfer that is not final ends
POST transfers/move                                                 another state that is not final
POST users                                                          tell the platform a user's real name
POST funds                                                          bring money in or take it out
"""

from tael_sandbox.control import Controls, NotPossible, Unknown, read
from tael_sandbox.web import Answer, Request, as_json
from tael_sandbox.wechat.funds import Funded
from tael_sandbox.wechat.refunds import Refund, RefundEnded, RefundState
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time
from tael_sandbox.wechat.transfers import FINAL_STATES, Transfer, TransferMoved, TransferState, UserNamed
from tael_sandbox.wechat.views import (
    BalanceView,
    Fund,
    NameUser,
    RefundView,
    TouchRefund,
    TouchTransfer,
    TransferView,
)

_REFUND_ENDS: dict[str, RefundState] = {"settle": "SUCCESS", "close": "CLOSED", "abnormal": "ABNORMAL"}
_TRANSFER_ENDS: dict[str, TransferState] = {"confirm": "SUCCESS", "fail": "FAIL", "cancel": "CANCELLED"}


async def _refunds(wechat: Wechat, name: str, request: Request) -> Answer:
    found = [wechat.refund(*one.key) for one in wechat.refunds]
    return as_json([_view_refund(one) for one in found if one is not None])


async def _end_refund(wechat: Wechat, name: str, request: Request) -> Answer:
    said, state = read(request, TouchRefund), _REFUND_ENDS.get(name.partition("/")[2])
    named = [
        one for one in wechat.refunds
        if one.asked.out_refund_no == said.out_refund_no and said.mchid in ("", one.asked.mchid)
    ]  # fmt: skip
    refund = wechat.refund(*named[-1].key) if named else None
    if refund is None or state is None:
        raise Unknown("no such refund")
    if refund.state != "PROCESSING":
        raise NotPossible(f"the refund is {refund.state}")
    wechat.record(RefundEnded(*refund.key, wechat.clock.now_ms(), state))
    ended = wechat.refunds.get(*refund.key)
    assert ended is not None, "refunds stay"
    return as_json(_view_refund(ended))


async def _transfers(wechat: Wechat, name: str, request: Request) -> Answer:
    found = [wechat.transfer(one.asked.mchid, one.asked.out_bill_no) for one in wechat.transfers]
    return as_json([_view_transfer(one) for one in found if one is not None])


async def _move_transfer(wechat: Wechat, name: str, request: Request) -> Answer:
    said, what = read(request, TouchTransfer), name.partition("/")[2]
    named = [
        one for one in wechat.transfers
        if one.asked.out_bill_no == said.out_bill_no and said.mchid in ("", one.asked.mchid)
    ]  # fmt: skip
    state = said.state if what == "move" else _TRANSFER_ENDS.get(what)
    if not named or state is None:
        raise Unknown("no such transfer")
    key = (named[-1].asked.mchid, named[-1].asked.out_bill_no)
    transfer = wechat.transfer(*key)
    assert transfer is not None, "transfers stay"
    if transfer.final or (what == "move" and state in FINAL_STATES):
        raise NotPossible(f"the transfer is {transfer.state}")
    now_ms, reason = wechat.clock.now_ms(), said.reason if state == "FAIL" else ""
    kept = transfer.next if state == "WAIT_USER_CONFIRM" else None
    wechat.record(TransferMoved(*key, now_ms, state, reason, kept))
    moved = wechat.transfers.get(*key)
    assert moved is not None, "transfers stay"
    return as_json(_view_transfer(moved))


async def _name_user(wechat: Wechat, name: str, request: Request) -> Answer:
    said = read(request, NameUser)
    wechat.record(UserNamed(said.openid, said.name))
    return as_json(said)


async def _fund(wechat: Wechat, name: str, request: Request) -> Answer:
    said = read(request, Fund)
    mchid = wechat.merchants.first_or_named(said.mchid).mchid
    if wechat.balance(mchid) + said.amount_minor < 0:
        raise NotPossible(f"the balance is {wechat.balance(mchid)}")
    wechat.record(Funded(mchid, wechat.clock.now_ms(), said.amount_minor))
    return as_json(BalanceView(mchid, wechat.balance(mchid)))


def _view_refund(refund: Refund) -> RefundView:
    asked, terms = refund.asked, refund.asked.terms
    return RefundView(
        mchid=asked.mchid,
        out_refund_no=asked.out_refund_no,
        refund_id=asked.refund_id,
        out_trade_no=terms.out_trade_no,
        transaction_id=terms.transaction_id,
        state=refund.state,
        refund_minor=terms.refund_minor,
        payer_minor=asked.payer_minor,
        coupon_minor=asked.coupon_minor,
        fee_minor=asked.fee_minor,
        reason=terms.reason,
        notify_url=terms.notify_url,
        notice_id=asked.notice_id,
        asked_at=china_time(asked.at_ms),
        ended_at=china_time(refund.ended_ms) if refund.ended_ms else "",
    )


def _view_transfer(transfer: Transfer) -> TransferView:
    asked, terms = transfer.asked, transfer.asked.terms
    return TransferView(
        mchid=asked.mchid,
        appid=terms.appid,
        out_bill_no=asked.out_bill_no,
        transfer_bill_no=asked.transfer_bill_no,
        state=transfer.state,
        reason=transfer.reason,
        openid=terms.openid,
        user_name=terms.user_name,
        amount_minor=terms.amount_minor,
        remark=terms.remark,
        transfer_scene_id=terms.transfer_scene_id,
        package_info=asked.package_info,
        notify_url=terms.notify_url,
        notice_id=asked.notice_id,
        asked_at=china_time(asked.at_ms),
        changed_at=china_time(transfer.changed_ms),
    )


CONTROLS: Controls[Wechat] = {
    ("GET", "refunds"): _refunds,
    ("POST", "refunds"): _end_refund,
    ("GET", "transfers"): _transfers,
    ("POST", "transfers"): _move_transfer,
    ("POST", "users"): _name_user,
    ("POST", "funds"): _fund,
}
