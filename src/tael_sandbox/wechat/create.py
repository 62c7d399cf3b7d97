"""Placing an order: ``POST /v3/pay/transactions/{native|jsapi|app|h5}``.

The same number with the same content gives the current payment link again (a new one once it is two hours old);
with other content, or after payment or closing, it is refused. How long the order lives is decided once, by the
first request.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from tael_sandbox.china_time import CHINA
from tael_sandbox.wechat.bodies import check_url, missing, read
from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.orders import PAID_STATES, Method, Order, Placed, Reissued, Terms
from tael_sandbox.wechat.refusals import Detail, Refusal
from tael_sandbox.wechat.state import Wechat

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS
_LINK_LIFE_MS = 120 * _MINUTE_MS
_MOST_MINOR = 10_000_000_000

_Text32 = Annotated[str, Meta(min_length=1, max_length=32)]


class _Amount(Struct, frozen=True):
    total: Annotated[int, Meta(ge=1, le=_MOST_MINOR)]
    currency: Literal["CNY"] = "CNY"


class _Payer(Struct, frozen=True):
    openid: Annotated[str, Meta(min_length=1, max_length=128)]


class _H5Info(Struct, frozen=True):
    type: _Text32


class _SceneInfo(Struct, frozen=True):
    payer_client_ip: Annotated[str, Meta(min_length=1, max_length=45)]
    h5_info: _H5Info | None = None


class _SettleInfo(Struct, frozen=True):
    profit_sharing: bool = False


class Body(Struct, frozen=True):
    """What an order request may say; fields that are not listed are ignored."""

    appid: _Text32
    mchid: _Text32
    description: Annotated[str, Meta(min_length=1, max_length=127)]
    out_trade_no: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z_\-|*]{6,32}\Z")]
    notify_url: Annotated[str, Meta(min_length=1, max_length=255)]
    amount: _Amount
    time_expire: str | None = None
    attach: Annotated[str, Meta(max_length=128)] = ""
    goods_tag: Annotated[str, Meta(max_length=32)] = ""
    payer: _Payer | None = None
    scene_info: _SceneInfo | None = None
    settle_info: _SettleInfo | None = None


_DECODER = msgspec.json.Decoder(Body)


def create(wechat: Wechat, merchant: Merchant, *, method: Method, raw: bytes) -> dict[str, str]:
    """Place the order, or find it placed, and return what the user's client needs. Raises ``Refusal``."""
    body = read(_DECODER, raw)
    _check_owner(wechat, merchant, body)
    _check_scene(method, body)
    check_url(wechat, body.notify_url)
    now_ms = wechat.clock.now_ms()
    expires_ms = _expiry_ms(body.time_expire, now_ms=now_ms)
    terms = _terms(method, body)
    order = wechat.order(merchant.mchid, body.out_trade_no)
    if order is None:
        prepay_id, link = _fresh_link(wechat, merchant.mchid, body.out_trade_no, issue=1)
        wechat.record(Placed(merchant.mchid, body.out_trade_no, terms, now_ms, expires_ms, prepay_id, link))
    else:
        _check_again(order, terms)
        if now_ms - order.issued_ms >= _LINK_LIFE_MS:
            prepay_id, link = _fresh_link(wechat, merchant.mchid, body.out_trade_no, issue=order.issues + 1)
            wechat.record(Reissued(merchant.mchid, body.out_trade_no, now_ms, prepay_id, link))
    placed = wechat.orders.get(merchant.mchid, body.out_trade_no)
    assert placed is not None, "it was just placed or found"
    return _handoff(wechat, placed)


def code_url(order: Order) -> str:
    """What the QR code says."""
    return f"weixin://wxpay/bizpayurl?pr={order.link}"


def _check_owner(wechat: Wechat, merchant: Merchant, body: Body) -> None:
    if wechat.merchants.get(body.mchid) is None:
        raise Refusal("MCH_NOT_EXISTS")
    if body.mchid != merchant.mchid:
        raise Refusal("NO_AUTH")
    if body.appid not in merchant.about.appids:
        raise Refusal("APPID_MCHID_NOT_MATCH")


def _check_scene(method: Method, body: Body) -> None:
    if method == "jsapi" and body.payer is None:
        raise missing("/payer/openid")
    if method == "h5" and (body.scene_info is None or body.scene_info.h5_info is None):
        raise missing("/scene_info/h5_info/type")


def _expiry_ms(asked: str | None, *, now_ms: int) -> int:
    """Seven days unless asked otherwise; never under a minute nor over ninety days."""
    if asked is None:
        return now_ms + 7 * _DAY_MS
    try:
        moment = datetime.fromisoformat(asked)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in asked:
        raise Refusal("PARAM_ERROR", message="time_expire格式错误", detail=Detail("/time_expire", "not RFC 3339"))
    return min(max(int(moment.timestamp()) * 1000, now_ms + _MINUTE_MS), now_ms + 90 * _DAY_MS)


def _terms(method: Method, body: Body) -> Terms:
    return Terms(
        method=method,
        appid=body.appid,
        description=body.description,
        total_minor=body.amount.total,
        currency=body.amount.currency,
        notify_url=body.notify_url,
        attach=body.attach,
        goods_tag=body.goods_tag,
        openid=body.payer.openid if body.payer else "",
        profit_sharing=body.settle_info is not None and body.settle_info.profit_sharing,
    )


def _check_again(order: Order, terms: Terms) -> None:
    """A known number: the order must still be payable, and the request the same."""
    if order.state in PAID_STATES:
        raise Refusal("ORDERPAID")
    if not order.open:
        raise Refusal("ORDER_CLOSED")
    if order.terms != terms:
        raise Refusal("OUT_TRADE_NO_USED")


def _fresh_link(wechat: Wechat, mchid: str, out_trade_no: str, *, issue: int) -> tuple[str, str]:
    stamp = datetime.fromtimestamp(wechat.clock.now_s(), CHINA).strftime("%d%H%M%S")
    prepay_id = f"wx{stamp}{wechat.ids.hexadecimal(26, 'prepay', mchid, out_trade_no, issue)}"
    return prepay_id, wechat.ids.letters(9, "link", mchid, out_trade_no, issue)


def _handoff(wechat: Wechat, order: Order) -> dict[str, str]:
    match order.terms.method:
        case "native":
            return {"code_url": code_url(order)}
        case "jsapi" | "app":
            return {"prepay_id": order.prepay_id}
        case "h5":
            page = f"{wechat.base_url}/cgi-bin/mmpayweb-bin/checkmweb"
            return {"h5_url": f"{page}?prepay_id={order.prepay_id}&package={order.link}"}
