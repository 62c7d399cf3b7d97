"""What the person with the phone does: scan, pay, decline; and time or a support desk: expire, finish, refund."""

from tael_sandbox.alipay.state import Alipay
from tael_sandbox.alipay.trades import Closed, Finished, Paid, Refunded, Renotified, Scanned, Trade
from tael_sandbox.china_time import china_time
from tael_sandbox.control import NotPossible

_LINK_LIFE_MS = 7_200_000


def scan(alipay: Alipay, trade: Trade) -> Trade:
    """Open the link: from now on there is a trade that waits for its payment. Raises ``NotPossible``."""
    if trade.state != "LINK":
        raise NotPossible(f"the trade is {trade.state}")
    now_ms = alipay.clock.now_ms()
    if trade.terms.kind == "precreate" and now_ms - trade.linked_ms >= _LINK_LIFE_MS:
        raise NotPossible("the QR code is older than two hours")
    name = (trade.app_id, trade.out_trade_no)
    trade_no = f"{china_time(now_ms)[:10].replace('-', '')}2200{alipay.ids.digits(16, 'trade', *name)}"
    buyer_id = f"2088{alipay.ids.digits(12, 'buyer', *name)}"
    alipay.record(Scanned(trade.app_id, trade.out_trade_no, now_ms, trade_no, buyer_id))
    return _now(alipay, trade)


def pay(alipay: Alipay, trade: Trade, *, amount_minor: int | None = None, force: bool = False) -> Trade:
    """Pay the trade; the notice starts on its way. A link that was not opened is opened first.

    ``amount_minor``: the channel books another amount than was agreed. ``force``: pay a closed trade, or a paid one a
    second time, as a channel gone wrong would. Raises ``NotPossible``.
    """
    if trade.state == "LINK":
        trade = scan(alipay, trade)
    if trade.state != "WAIT_BUYER_PAY" and not (force and trade.exists):
        raise NotPossible(f"the trade is {trade.state}")
    total_minor = trade.terms.total_minor if amount_minor is None else amount_minor
    if total_minor < 1:
        raise NotPossible("the amount must be positive")
    paid = Paid(
        app_id=trade.app_id,
        out_trade_no=trade.out_trade_no,
        at_ms=alipay.clock.now_ms(),
        notify_id=_notify_id(alipay, trade, "paid", len(trade.payments) + 1),
        total_minor=total_minor,
        fee_minor=alipay.merchants.owner(trade.app_id).fee_minor(total_minor),
    )
    alipay.record(paid)
    return _now(alipay, trade)


def decline(trade: Trade) -> None:
    """The payment fails and the trade stays as it is. Raises ``NotPossible``."""
    if not trade.payable:
        raise NotPossible(f"the trade is {trade.state}")


def expire(alipay: Alipay, trade: Trade) -> None:
    """Let the trade's time be over now. Raises ``NotPossible``."""
    decline(trade)
    alipay.record(Closed(trade.app_id, trade.out_trade_no, alipay.clock.now_ms(), "expired"))


def finish(alipay: Alipay, trade: Trade) -> None:
    """Let the time for refunds be over. Raises ``NotPossible``."""
    if trade.state != "TRADE_SUCCESS":
        raise NotPossible(f"the trade is {trade.state}")
    alipay.record(Finished(trade.app_id, trade.out_trade_no, alipay.clock.now_ms()))


def refund(
    alipay: Alipay, trade: Trade, *, amount_minor: int | None = None, out_request_no: str = "", reason: str = ""
) -> None:
    """Give ``amount_minor`` (default: all that is left) back; the fee comes back in proportion. Raises
    ``NotPossible``.
    """
    left_minor = trade.paid_minor - trade.refunded_minor
    amount_minor = left_minor if amount_minor is None else amount_minor
    if trade.state != "TRADE_SUCCESS" or not 0 < amount_minor <= left_minor:
        raise NotPossible(f"the trade is {trade.state} and {left_minor} can be given back")
    if amount_minor > alipay.balance_minor(alipay.merchants.owner(trade.app_id)):
        raise NotPossible("the merchant's account does not hold that much")
    fee_minor, had_minor = (sum(one.fee_minor for one in trade.payments), sum(o.fee_back_minor for o in trade.refunds))
    fee_back_minor = fee_minor * (trade.refunded_minor + amount_minor) // trade.paid_minor - had_minor
    alipay.record(
        Refunded(
            app_id=trade.app_id,
            out_trade_no=trade.out_trade_no,
            out_request_no=out_request_no or f"HAND{len(trade.refunds) + 1}{trade.out_trade_no}",
            at_ms=alipay.clock.now_ms(),
            notify_id=_notify_id(alipay, trade, "refunded", len(trade.refunds) + 1),
            amount_minor=amount_minor,
            fee_back_minor=fee_back_minor,
            reason=reason,
        )
    )


def renotify(alipay: Alipay, trade: Trade) -> None:
    """Send the trade's last notice once more from the first rung. Raises ``NotPossible``."""
    if not trade.payments:
        raise NotPossible("nothing was paid")
    alipay.record(Renotified(trade.app_id, trade.out_trade_no, alipay.clock.now_ms()))


def _notify_id(alipay: Alipay, trade: Trade, *what: object) -> str:
    return alipay.ids.hexadecimal(34, "alipay notice", trade.app_id, trade.out_trade_no, *what)


def _now(alipay: Alipay, trade: Trade) -> Trade:
    found = alipay.trades.get(trade.app_id, trade.out_trade_no)
    assert found is not None, "trades do not go away"
    return found
