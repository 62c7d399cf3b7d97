"""Paying people out: ``fund.trans.uni.transfer`` and ``fund.trans.common.query``. Certificate mode only.

``out_biz_no`` names one transfer: the same content again is the same transfer, other content is refused. What is
refused (no balance, a limit, no such payee) leaves no transfer behind, so the same number may be sent again.
"""

import re

from msgspec import Struct

from tael_sandbox.alipay.call import NUMBER, Call, Yuan
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.state import Alipay
from tael_sandbox.alipay.transfers import FINAL, GIVEN_BACK, Content, Moved, Sent, Status, Transfer
from tael_sandbox.alipay.yuan import minor, yuan
from tael_sandbox.china_time import china_time
from tael_sandbox.control import NotPossible

_LEAST_MINOR = 10
_USER_ID = re.compile(r"2088\d{12}")
_LOGON_ID = re.compile(r"[^@\s]+@[^@\s]+|1\d{10}")
_CARD = re.compile(r"\d{12,19}")
_PRODUCTS = {"TRANS_ACCOUNT_NO_PWD": "DIRECT_TRANSFER", "TRANS_BANKCARD_NO_PWD": "DIRECT_TRANSFER"}


class Payee(Struct, frozen=True):
    """Who gets the money."""

    identity: str
    identity_type: str
    name: str | None = None


class Body(Struct, frozen=True):
    """A transfer."""

    out_biz_no: str
    trans_amount: Yuan
    product_code: str
    biz_scene: str
    payee_info: Payee
    order_title: str = ""
    remark: str = ""


class Asked(Struct, frozen=True):
    """A question for one transfer."""

    out_biz_no: str = ""
    order_id: str = ""
    pay_fund_order_id: str = ""


class SentSaid(Struct, frozen=True, omit_defaults=True):
    """The node of a transfer."""

    code: str
    msg: str
    out_biz_no: str
    order_id: str
    pay_fund_order_id: str
    status: str
    trans_date: str = ""


class FoundSaid(Struct, frozen=True, omit_defaults=True):
    """The node of a transfer query."""

    code: str
    msg: str
    out_biz_no: str
    order_id: str
    pay_fund_order_id: str
    status: str
    trans_amount: str
    order_fee: str
    pay_date: str = ""
    arrival_time_end: str = ""
    error_code: str = ""
    fail_reason: str = ""


def transfer(call: Call, *, status: Status | None = None) -> SentSaid:
    """``fund.trans.uni.transfer``; ``status``: how it starts, when a fault decides that. Raises ``Refusal``."""
    if call.merchant.about.mode != "certificate":
        raise Refusal("isv.insufficient-isv-permissions", code="40006", message="转账仅支持公钥证书模式")
    body = call.read(Body, refuse="INVALID_PARAMETER")
    content = _content(body)
    found = call.alipay.transfers.get(call.merchant.app_id, body.out_biz_no)
    if found is None:
        _check(call, content)
        bank = content.identity_type == "BANKCARD_ACCOUNT"
        _send(call, body.out_biz_no, content, status or ("DEALING" if bank else "SUCCESS"))
        found = call.alipay.transfers.get(call.merchant.app_id, body.out_biz_no)
    elif found.content != content:
        raise Refusal("PAYMENT_INFO_INCONSISTENCY")
    assert found is not None, "it was just sent or found"
    return SentSaid(
        code="10000",
        msg="Success",
        out_biz_no=found.out_biz_no,
        order_id=found.order_id,
        pay_fund_order_id=found.fund_order_id,
        status=found.status,
        trans_date=china_time(found.moved_ms) if found.status == "SUCCESS" else "",
    )


def query(call: Call) -> FoundSaid:
    """``fund.trans.common.query``. Raises ``Refusal`` ORDER_NOT_EXIST."""
    asked = call.read(Asked, refuse="INVALID_PARAMETER")
    name = asked.order_id or asked.pay_fund_order_id or asked.out_biz_no
    named = call.alipay.transfers.named(name)
    found = None if named is None else call.alipay.transfers.get(call.merchant.app_id, named.out_biz_no)
    if found is None:
        raise Refusal("ORDER_NOT_EXIST")
    done = found.status in ("SUCCESS", "REFUND")
    return FoundSaid(
        code="10000",
        msg="Success",
        out_biz_no=found.out_biz_no,
        order_id=found.order_id,
        pay_fund_order_id=found.fund_order_id,
        status=found.status,
        trans_amount=yuan(found.content.amount_minor),
        order_fee="0.00",
        pay_date=china_time(found.moved_ms if found.status == "SUCCESS" else found.sent_ms) if done else "",
        arrival_time_end="" if done else china_time(found.sent_ms + 7_200_000),
        error_code=found.reason,
        fail_reason=found.reason,
    )


def move(alipay: Alipay, found: Transfer, status: Status, *, reason: str = "") -> None:
    """Let a transfer go on, by hand: settle, fail or close one that is under way, return one that succeeded. Raises
    ``NotPossible``.
    """
    allowed = {"SUCCESS": {"REFUND"}}.get(found.status, set[Status]())
    if found.status not in FINAL:
        allowed = {"SUCCESS", "FAIL", "CLOSED"}
    if status not in allowed:
        raise NotPossible(f"the transfer is {found.status}")
    notify_id = alipay.ids.hexadecimal(34, "alipay transfer notice", found.app_id, found.out_biz_no, status)
    why = reason or ("PAYEE_ACCOUNT_STATUS_ERROR" if status in GIVEN_BACK else "")
    url = alipay.merchants.owner(found.app_id).about.gateway_url
    alipay.record(Moved(found.app_id, found.out_biz_no, alipay.clock.now_ms(), notify_id, status, url, why))


def _content(body: Body) -> Content:
    payee, amount_minor = body.payee_info, minor(body.trans_amount)
    if not NUMBER.fullmatch(body.out_biz_no) or not body.order_title or amount_minor is None:
        raise Refusal("INVALID_PARAMETER", message="参数有误")
    if _PRODUCTS.get(body.product_code) != body.biz_scene:
        raise Refusal("INVALID_PARAMETER", message="参数有误 product_code")
    return Content(
        amount_minor=amount_minor,
        product_code=body.product_code,
        biz_scene=body.biz_scene,
        identity=payee.identity,
        identity_type=payee.identity_type,
        name=payee.name or "",
        title=body.order_title,
        remark=body.remark,
    )


def _check(call: Call, content: Content) -> None:
    _check_payee(content)
    limits, spent = call.merchant.about.limits, content.amount_minor
    if spent < _LEAST_MINOR:
        raise Refusal("EXCEED_LIMIT_SM_MIN_AMOUNT", message="请求金额不能低于0.1元")
    if spent > limits.single_minor:
        raise Refusal("EXCEED_LIMIT_SM_AMOUNT", message="单笔额度超限")
    today = china_time(call.alipay.clock.now_ms())[:10]
    for length, limit_minor, code in (
        (10, limits.day_minor, "EXCEED_LIMIT_DM_MAX_AMOUNT"),
        (7, limits.month_minor, "EXCEED_LIMIT_MM_MAX_AMOUNT"),
    ):
        if spent + call.alipay.transfers.sent_minor(call.merchant.app_id, today[:length]) > limit_minor:
            raise Refusal(code, message="累计额度超限")
    if spent > call.alipay.balance_minor(call.merchant):
        raise Refusal("PAYER_BALANCE_NOT_ENOUGH")


def _check_payee(content: Content) -> None:
    match content.identity_type:
        case "ALIPAY_USER_ID":
            known = _USER_ID.fullmatch(content.identity)
        case "ALIPAY_OPEN_ID":
            known = content.identity
        case "ALIPAY_LOGON_ID":
            known = _LOGON_ID.fullmatch(content.identity)
            if not content.name:
                raise Refusal("PAYEE_USER_INFO_ERROR", message="支付宝账号和姓名不匹配，请确认姓名是否正确")
        case "BANKCARD_ACCOUNT":
            known = _CARD.fullmatch(content.identity) and content.name
        case _:
            raise Refusal("INVALID_PARAMETER", message="参数有误 identity_type")
    if not known:
        raise Refusal("PAYEE_NOT_EXIST")


def _send(call: Call, out_biz_no: str, content: Content, status: Status) -> None:
    alipay, app_id = call.alipay, call.merchant.app_id
    now_ms, name = alipay.clock.now_ms(), (app_id, out_biz_no)
    day = china_time(now_ms)[:10].replace("-", "")
    alipay.record(
        Sent(
            app_id=app_id,
            out_biz_no=out_biz_no,
            content=content,
            at_ms=now_ms,
            order_id=f"{day}0007{alipay.ids.digits(20, 'transfer', *name)}",
            fund_order_id=f"{day}0007{alipay.ids.digits(20, 'fund order', *name)}",
            notify_id=alipay.ids.hexadecimal(34, "alipay transfer notice", *name, status),
            status=status,
            url=call.merchant.about.gateway_url,
            reason="PAYEE_ACCOUNT_STATUS_ERROR" if status == "FAIL" else "",
        )
    )
