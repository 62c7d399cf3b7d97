"""Notices to merchants: a signed form, in person or spoilt.

    a payment, and a refund of a part    trade_status TRADE_SUCCESS    to the notify_url of the request
    the refund of the last part          trade_status TRADE_CLOSED     the same
    the end of a transfer                msg_method alipay.fund.trans.order.changed, to the app's gateway_url

HTTP 200 with a body of exactly ``success`` ends it; anything else climbs the ladder, and redirects are not followed.
The notice keeps its notify_id.
"""

from functools import partial
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.hashes import SHA1

from tael_sandbox.alipay.merchants import Merchant
from tael_sandbox.alipay.show import logon_id
from tael_sandbox.alipay.signing import sign_notice
from tael_sandbox.alipay.state import Alipay
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.yuan import yuan
from tael_sandbox.china_time import china_time
from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.faults import Fault
from tael_sandbox.notify import Letter, Sender
from tael_sandbox.outgoing import Heard

_FORM = {"content-type": "application/x-www-form-urlencoded; text/html; charset=utf-8"}


async def attempt(alipay: Alipay, notice: Notice) -> Verdict:
    """Send a notice once."""
    await alipay.journal.settled()
    fault = alipay.faults.take("notify", notice.out_trade_no, notice.transaction_id)
    sender = Sender(alipay, notice, write=partial(_letter, alipay, notice), accepts=_accepts)
    return await sender.deliver(fault)


def _accepts(heard: Heard) -> bool:
    return heard.status == 200 and heard.body == b"success"


def _letter(alipay: Alipay, notice: Notice, fault: Fault | None) -> Letter:
    """The form; with a fault, exactly one thing in it is wrong."""
    merchant = alipay.merchants.owner(notice.mchid)
    said, charset = _said(alipay, merchant, notice)
    if fault is not None:
        said = _lie(said, fault)
    key = merchant.keys.signing.key
    if fault is not None and fault.kind == "other_merchants_key":
        others = [one for one in alipay.merchants.all() if one.app_id != merchant.app_id]
        key = (others or [merchant])[0].keys.signing.key
    if fault is not None and fault.kind == "sha1_signature":
        sign = sign_notice(key, said, charset=charset, by=SHA1())  # noqa: S303
    else:
        sign = sign_notice(key, said, charset=charset)
    if fault is not None and fault.kind == "bad_signature":
        said = said | {"notify_time": "2000-01-01 00:00:00"}
    return Letter(urlencode(said | {"sign": sign}, encoding=charset, errors="replace").encode(), _FORM)


def _lie(said: dict[str, str], fault: Fault) -> dict[str, str]:
    """The content with one thing changed; a transfer's own fields are in its ``biz_content``."""
    match fault.kind:
        case "wrong_amount":
            return said | {"total_amount": yuan(fault.amount_minor or 1)}
        case "other_order":
            number = said.get("out_trade_no", "")
            return said | {"out_trade_no": fault.other_out_trade_no or f"X{number[1:]}"}
        case "wrong_app_id":
            return said | {"app_id": "2021000000000000"}
        case "wrong_seller_id":
            return said | {"seller_id": "2088000000000000"}
        case "wrong_status":
            return said | {"trade_status": "WAIT_BUYER_PAY"}
        case "extra_field":
            return said | {"a_new_field": "with = and & in it"}
        case _:
            return said


def _said(alipay: Alipay, merchant: Merchant, notice: Notice) -> tuple[dict[str, str], str]:
    """What a notice says, and in which charset."""
    common = {
        "app_id": merchant.app_id,
        "sign_type": "RSA2",
        "notify_id": notice.id,
    }
    if notice.topic.startswith("transfer "):
        at = {"utc_timestamp": str(notice.created_ms), "version": "1.1", "charset": "utf-8"}
        return common | at | _transfer(alipay, notice), "utf-8"
    trade = alipay.trades.get(notice.mchid, notice.out_trade_no)
    assert trade is not None, "notices tell of trades that exist"
    at = {"notify_time": china_time(alipay.clock.now_ms()), "version": "1.0", "charset": trade.terms.charset}
    return common | at | _trade(merchant, trade, notice), trade.terms.charset


def _trade(merchant: Merchant, trade: Trade, notice: Notice) -> dict[str, str]:
    """The trade as it was right after what the notice tells."""
    paid = next((one for one in trade.payments if one.notify_id == notice.id), trade.payments[-1])
    total = yuan(paid.total_minor)
    said = {
        "notify_type": "trade_status_sync",
        "auth_app_id": merchant.app_id,
        "seller_id": merchant.about.seller_id,
        "seller_email": f"shop{merchant.app_id[-6:]}@sandbox.com",
        "trade_no": trade.trade_no,
        "out_trade_no": trade.out_trade_no,
        "trade_status": "TRADE_SUCCESS",
        "buyer_id": trade.buyer_id,
        "buyer_logon_id": logon_id(trade),
        "subject": trade.terms.subject,
        "body": trade.terms.body,
        "passback_params": trade.terms.passback,
        "total_amount": total,
        "receipt_amount": total,
        "invoice_amount": total,
        "buyer_pay_amount": total,
        "point_amount": "0.00",
        "fund_bill_list": f'[{{"amount":"{total}","fundChannel":"ALIPAYACCOUNT"}}]',
        "gmt_create": china_time(trade.scanned_ms),
        "gmt_payment": china_time(paid.at_ms),
    }
    said |= _refunded(trade, notice)
    return {name: value for name, value in said.items() if value}


def _refunded(trade: Trade, notice: Notice) -> dict[str, str]:
    if notice.topic != "refunded":
        return {}
    place = next(index for index, one in enumerate(trade.refunds) if one.out_request_no == notice.transaction_id)
    until, last = trade.refunds[: place + 1], trade.refunds[place]
    given_minor = sum(one.amount_minor for one in until)
    closed = given_minor >= trade.paid_minor
    return {
        "out_biz_no": last.out_request_no,
        "refund_fee": yuan(given_minor),
        "gmt_refund": f"{china_time(last.at_ms)}.{last.at_ms % 1000:03d}",
        "trade_status": "TRADE_CLOSED" if closed else "TRADE_SUCCESS",
        "gmt_close": china_time(last.at_ms) if closed else "",
    }


def _transfer(alipay: Alipay, notice: Notice) -> dict[str, str]:
    found = alipay.transfers.get(notice.mchid, notice.out_trade_no)
    assert found is not None, "notices tell of transfers that exist"
    status = notice.topic.removeprefix("transfer ")
    content = {
        "out_biz_no": found.out_biz_no,
        "order_id": found.order_id,
        "pay_fund_order_id": found.fund_order_id,
        "product_code": found.content.product_code,
        "biz_scene": found.content.biz_scene,
        "origin_interface": "alipay.fund.trans.uni.transfer",
        "trans_amount": yuan(found.content.amount_minor),
        "status": status,
        "action_type": "FINISH" if status != "REFUND" else "REFUND",
        "pay_date": china_time(notice.created_ms),
    }
    if status != "SUCCESS":
        content |= {"error_code": found.reason, "fail_reason": found.reason}
    return {
        "msg_method": "alipay.fund.trans.order.changed",
        "biz_content": msgspec.json.encode(content).decode(),
    }
