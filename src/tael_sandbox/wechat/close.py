"""Closing an order: ``POST .../out-trade-no/{no}/close``. Closing twice is fine; a paid order is not closed any
more.
"""

import msgspec
from msgspec import Struct

from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.orders import PAID_STATES, Closed
from tael_sandbox.wechat.refusals import Detail, Refusal
from tael_sandbox.wechat.state import Wechat


class Body(Struct, frozen=True):
    """Who closes."""

    mchid: str


_DECODER = msgspec.json.Decoder(Body)


def close(wechat: Wechat, merchant: Merchant, *, out_trade_no: str, raw: bytes) -> None:
    """Close the order for good. Raises ``Refusal``: ORDERPAID, USERPAYING while the user is typing, ORDER_NOT_EXIST."""
    try:
        body = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal("PARAM_ERROR", detail=Detail("/mchid", "missing")) from error
    if body.mchid != merchant.mchid:
        raise Refusal("NO_AUTH")
    order = wechat.order(merchant.mchid, out_trade_no)
    if order is None:
        raise Refusal("ORDER_NOT_EXIST")
    if order.state in PAID_STATES:
        raise Refusal("ORDERPAID")
    if order.state == "USERPAYING":
        raise Refusal("USERPAYING")
    if order.state == "NOTPAY":
        wechat.record(Closed(merchant.mchid, out_trade_no, wechat.clock.now_ms(), "asked"))
