"""One genuine call of the gateway, and how its ``biz_content`` is read."""

import re
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import Struct

from tael_sandbox.alipay.merchants import Merchant
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.state import Alipay
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.yuan import minor

Yuan = str | int | float
NUMBER = re.compile(r"[0-9A-Za-z_]{1,64}")
MOST_MINOR = 100_000_000_00
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call:
    """``method`` is without its leading ``alipay.``; ``content`` is the JSON text of ``biz_content``."""

    alipay: Alipay
    merchant: Merchant
    method: str
    charset: str
    content: str
    notify_url: str = ""
    return_url: str = ""

    def read(self, kind: type[_T], *, refuse: str = "ACQ.INVALID_PARAMETER") -> _T:
        """``biz_content`` as ``kind``; unknown fields are ignored. Raises ``Refusal``."""
        try:
            return msgspec.json.decode(self.content.encode(), type=kind)
        except msgspec.DecodeError as error:
            raise Refusal(refuse, message=f"参数无效 {error}") from error


class Numbers(Struct, frozen=True):
    """Whatever a request may name things by; for the record and for faults meant for one of them."""

    out_trade_no: str = ""
    trade_no: str = ""
    out_request_no: str = ""
    out_biz_no: str = ""
    order_id: str = ""


class Named(Struct, frozen=True):
    """Names one trade, by the merchant's number or Alipay's."""

    out_trade_no: str = ""
    trade_no: str = ""


def find(call: Call, named: Named) -> Trade | None:
    """The merchant's trade, if it exists by now. Raises ``Refusal`` when it is not named at all."""
    if not named.out_trade_no and not named.trade_no:
        raise Refusal("ACQ.INVALID_PARAMETER")
    number = named.out_trade_no
    if named.trade_no:
        by_trade_no = call.alipay.trades.named(named.trade_no)
        if by_trade_no is None or by_trade_no.trade_no != named.trade_no:
            return None
        number = by_trade_no.out_trade_no
    return call.alipay.trade(call.merchant.app_id, number)


def trade_of(call: Call, named: Named) -> Trade:
    """The merchant's trade. Raises ``Refusal`` ACQ.TRADE_NOT_EXIST, also for a link that nobody opened yet."""
    found = find(call, named)
    if found is None or not found.exists:
        raise Refusal("ACQ.TRADE_NOT_EXIST")
    return found


def amount(said: Yuan, *, refuse: str) -> int:
    """Fen of an amount within what Alipay takes. Raises ``Refusal``."""
    read = minor(said)
    if read is None or not 1 <= read <= MOST_MINOR:
        raise Refusal(refuse)
    return read
