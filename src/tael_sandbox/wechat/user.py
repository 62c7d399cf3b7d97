"""What the person with the phone does: scan, pay, decline; and what time or a support desk does: expire, refund."""

from tael_sandbox.control import NotPossible
from tael_sandbox.wechat.orders import PAID_STATES, Closed, Declined, Order, Paid, Refunded, Renotified, Scanned, State
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time


def scan(wechat: Wechat, order: Order) -> None:
    """Open the order on the phone: it is USERPAYING until paid or declined. Raises ``NotPossible``."""
    _must_be_open(order)
    wechat.record(Scanned(order.mchid, order.out_trade_no, wechat.clock.now_ms()))


def pay(
    wechat: Wechat,
    order: Order,
    *,
    amount_minor: int | None = None,
    coupon_minor: int = 0,
    force: bool = False,
) -> Paid:
    """Pay the order; the notice starts on its way.

    ``amount_minor``: the channel books another amount than was ordered. ``coupon_minor``: that part is not paid by
    the user. ``force``: pay even a closed order, or a paid one a second time, as a channel gone wrong would. Raises
    ``NotPossible``.
    """
    if not force:
        _must_be_open(order)
    merchant = wechat.merchants.owner(order.mchid)
    total_minor = order.terms.total_minor if amount_minor is None else amount_minor
    if total_minor < 1 or not 0 <= coupon_minor <= total_minor:
        raise NotPossible("the amount must be positive and cover the coupon")
    now_ms = wechat.clock.now_ms()
    name = (order.mchid, order.out_trade_no, len(order.payments) + 1)
    digits = wechat.ids.digits(16, "transaction", *name)
    paid = Paid(
        mchid=order.mchid,
        out_trade_no=order.out_trade_no,
        at_ms=now_ms,
        transaction_id=f"4200{digits[:6]}{china_time(now_ms)[:10].replace('-', '')}{digits[6:]}",
        notice_id=wechat.ids.hexadecimal(32, "notice", *name),
        total_minor=total_minor,
        payer_minor=total_minor - coupon_minor,
        coupon_minor=coupon_minor,
        fee_minor=merchant.fee_minor(total_minor),
        openid=order.terms.openid or f"o{wechat.ids.letters(27, 'openid', *name)}",
    )
    wechat.record(paid)
    return paid


def decline(wechat: Wechat, order: Order, *, state: State = "NOTPAY") -> None:
    """The payment fails. The order stays payable (NOTPAY) or ends as PAYERROR or REVOKED. Raises ``NotPossible``."""
    _must_be_open(order)
    if state not in ("NOTPAY", "PAYERROR", "REVOKED"):
        raise NotPossible(f"a declined order does not become {state}")
    wechat.record(Declined(order.mchid, order.out_trade_no, wechat.clock.now_ms(), state))


def expire(wechat: Wechat, order: Order) -> None:
    """Let the order's time be over now. Raises ``NotPossible``."""
    _must_be_open(order)
    wechat.record(Closed(order.mchid, order.out_trade_no, wechat.clock.now_ms(), "expired"))


def refund(wechat: Wechat, order: Order) -> None:
    """Give the last payment back in full, by hand. Raises ``NotPossible``."""
    if order.state not in PAID_STATES or order.state == "REFUND":
        raise NotPossible(f"the order is {order.state}")
    wechat.record(Refunded(order.mchid, order.out_trade_no, wechat.clock.now_ms(), order.payments[-1].payer_minor))


def renotify(wechat: Wechat, order: Order) -> None:
    """Send the notice of the last payment once more from the first rung, accepted or not. Raises ``NotPossible``."""
    if not order.payments:
        raise NotPossible("nothing was paid")
    paid = order.payments[-1]
    wechat.record(Renotified(order.mchid, order.out_trade_no, wechat.clock.now_ms(), paid.transaction_id))


def _must_be_open(order: Order) -> None:
    if not order.open:
        raise NotPossible(f"the order is {order.state}")
