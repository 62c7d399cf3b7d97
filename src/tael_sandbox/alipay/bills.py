"""Asking for a bill: ``data.dataservice.bill.downloadurl.query``. No day has a bill yet."""

import re

from msgspec import Struct

from tael_sandbox.alipay.call import Call
from tael_sandbox.alipay.refusals import Refusal

_TYPES = frozenset({"trade", "signcustomer", "merchant_act", "settlementMerge", "trade_zft_merchant"})
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")


class Asked(Struct, frozen=True):
    """Which bill: a day (yyyy-MM-dd) or a month (yyyy-MM)."""

    bill_type: str
    bill_date: str


def query(call: Call) -> None:
    """Raises ``Refusal``, always."""
    asked = call.read(Asked, refuse="INVALID_PARAMETER")
    if asked.bill_type not in _TYPES or not _DAY.fullmatch(asked.bill_date):
        raise Refusal("INVALID_PARAMETER", message="账单类型或日期无效")
    raise Refusal("BILL_NOT_EXIST")
