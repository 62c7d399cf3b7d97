"""What an account holds: ``fund.account.query``, for the merchant's own account only."""

from msgspec import Struct

from tael_sandbox.alipay.call import Call
from tael_sandbox.alipay.refusals import Refusal
from tael_sandbox.alipay.yuan import yuan


class Asked(Struct, frozen=True):
    """Whose account."""

    alipay_user_id: str
    account_type: str = "ACCTRANS_ACCOUNT"


class BalanceSaid(Struct, frozen=True):
    """The node of a balance."""

    code: str
    msg: str
    available_amount: str
    freeze_amount: str


def query(call: Call) -> BalanceSaid:
    """What the merchant can spend. Raises ``Refusal``."""
    asked = call.read(Asked, refuse="INVALID_PARAMETER")
    if asked.alipay_user_id != call.merchant.about.seller_id or asked.account_type != "ACCTRANS_ACCOUNT":
        raise Refusal("INVALID_PARAMETER", message="参数有误")
    return BalanceSaid("10000", "Success", yuan(call.alipay.balance_minor(call.merchant)), "0.00")
