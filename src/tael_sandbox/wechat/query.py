"""Asking for an order: ``GET .../out-trade-no/{no}?mchid=`` and, once paid, ``GET .../id/{transaction_id}?mchid=``."""

from urllib.parse import parse_qs

from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.orders import Order
from tael_sandbox.wechat.refusals import Detail, Refusal
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import Transaction, show


def by_number(wechat: Wechat, merchant: Merchant, *, out_trade_no: str, query: str) -> Transaction:
    """The transaction of the merchant's own number. Raises ``Refusal``."""
    _check_mchid(merchant, query)
    return _show(wechat.order(merchant.mchid, out_trade_no))


def by_transaction(wechat: Wechat, merchant: Merchant, *, transaction_id: str, query: str) -> Transaction:
    """The transaction with the channel's own id; there is none before payment. Raises ``Refusal``."""
    _check_mchid(merchant, query)
    order = wechat.orders.paid_as(transaction_id)
    return _show(order if order is not None and order.mchid == merchant.mchid else None)


def _check_mchid(merchant: Merchant, query: str) -> None:
    said = parse_qs(query).get("mchid", [])
    if len(said) != 1:
        detail = Detail("mchid", "must be given once", location="query")
        raise Refusal("PARAM_ERROR", message="缺少参数 mchid", detail=detail)
    if said[0] != merchant.mchid:
        raise Refusal("NO_AUTH")


def _show(order: Order | None) -> Transaction:
    if order is None:
        raise Refusal("ORDER_NOT_EXIST")
    return show(order)
