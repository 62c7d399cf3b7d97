"""Notices to merchants: a signed form, in person or spoilt.

    a payment, and a refund of a part    trade_status TRADE_SUCCESS    to the notify_url of the request
    the refund of the last part          trade_status TRADE_CLOSED     the same
    the end of a transfer                msg_method alipay.fund.trans.order.changed, to the app's gateway_url

HTTP 200 with a body of exactly ``success`` ends it; anything else climbs the ladder, and redirects are not followed.
The notice keeps its notify_id. Only hosts of this machine (and hosts the sandbox was told about) are called.
"""

import asyncio
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.hazmat.primitives.hashes import SHA1

from tael_sandbox.alipay.merchants import Merchant
from tael_sandbox.alipay.show import logon_id
from tael_sandbox.alipay.signing import sign_notice
from tael_sandbox.alipay.state import NAME, Alipay
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.yuan import china_time, yuan
from tael_sandbox.calls import Delivery
from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.faults import Fault
from tael_sandbox.outgoing import NotDelivered

_ANSWER_WITHIN_S = 5
_MOST_ANSWER_CHARS = 500


async def attempt(alipay: Alipay, notice: Notice) -> Verdict:
    """Send a notice once, as healthy or as broken as the armed faults want it."""
    await alipay.journal.settled()
    fault = None
    if alipay.faults.touches("notify"):
        fault = alipay.faults.take("notify", notice.out_trade_no, notice.transaction_id)
    if fault is None:
        return await _send(alipay, notice, _letter(alipay, notice, None), fault="")
    match fault.kind:
        case "late":
            return Verdict(postponed_ms=fault.late_s * 1000)
        case "out_of_order":
            return Verdict(held=True)
        case "drop":
            _note(alipay, notice, status=0, answer="dropped on purpose", accepted=False, fault=fault.kind)
            return Verdict()
        case "duplicate":
            letters = [_letter(alipay, notice, None) for _ in range(fault.times)]
            sent = [_send(alipay, notice, letter, fault=fault.kind) for letter in letters]
            return (await asyncio.gather(*sent))[-1]
        case _:
            return await _send(alipay, notice, _letter(alipay, notice, fault), fault=fault.kind)


async def _send(alipay: Alipay, notice: Notice, letter: bytes, *, fault: str) -> Verdict:
    parts = urlsplit(notice.url)
    if parts.scheme != "http" or parts.hostname not in alipay.notify_hosts:
        _note(alipay, notice, status=0, answer="not a host the sandbox may call", accepted=False, fault=fault)
        return Verdict()
    headers = {"content-type": "application/x-www-form-urlencoded; text/html; charset=utf-8"}
    try:
        heard = await alipay.poster.post(notice.url, headers=headers, body=letter, timeout_s=_ANSWER_WITHIN_S)
    except NotDelivered as error:
        _note(alipay, notice, status=0, answer=str(error), accepted=False, fault=fault)
        return Verdict()
    accepted = heard.status == 200 and heard.body == b"success"
    text = heard.body.decode("utf-8", "replace")[:_MOST_ANSWER_CHARS]
    _note(alipay, notice, status=heard.status, answer=text, accepted=accepted, fault=fault)
    return Verdict(accepted=accepted)


def _letter(alipay: Alipay, notice: Notice, fault: Fault | None) -> bytes:
    """The form; with a fault, exactly one thing in it is wrong."""
    merchant = alipay.owner(notice.mchid)
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
    return urlencode(said | {"sign": sign}, encoding=charset, errors="replace").encode()


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


def _note(alipay: Alipay, notice: Notice, *, status: int, answer: str, accepted: bool, fault: str) -> None:
    alipay.witness.told(
        Delivery(
            at_ms=alipay.clock.now_ms(),
            notice_id=notice.id,
            mchid=notice.mchid,
            out_trade_no=notice.out_trade_no,
            url=notice.url,
            attempt=notice.tries + 1,
            status=status,
            answer=answer,
            accepted=accepted,
            fault=fault,
            channel=NAME,
        )
    )
