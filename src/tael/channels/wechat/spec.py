"""What WeChat Pay can do, and the forms that it asks of our numbers and addresses.

Calls per second are those of one merchant account: 150 refunds and 100 transfers are documented, the others are careful
guesses. Numbers of payouts have letters and digits only, those of refunds may be longer than those of payments; ours
(32 letters and digits) fit all of them.
"""

import re

from tael.channels.contract import ConnectorSpec, MerchantAccount, Method, Operation

PAYMENT_NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
REFUND_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
PAYOUT_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
CURRENCY = "CNY"
HOUR_S = 3600

SPEC = ConnectorSpec(
    name="wechat",
    methods=frozenset({Method.NATIVE, Method.JSAPI, Method.H5, Method.APP}),
    payees=frozenset({"wechat_user"}),
    currencies=frozenset({CURRENCY}),
    numbers={
        **dict.fromkeys((Operation.CREATE, Operation.QUERY, Operation.CLOSE), PAYMENT_NUMBER),
        **dict.fromkeys((Operation.REFUND, Operation.QUERY_REFUND), REFUND_NUMBER),
        **dict.fromkeys((Operation.PAYOUT, Operation.QUERY_PAYOUT, Operation.CANCEL_PAYOUT), PAYOUT_NUMBER),
    },
    min_minor=1,
    max_minor=1_000_000_000,
    qps={
        Operation.CREATE: 1000, Operation.QUERY: 1000, Operation.CLOSE: 1000,
        Operation.REFUND: 150, Operation.QUERY_REFUND: 300,
        Operation.PAYOUT: 100, Operation.QUERY_PAYOUT: 100, Operation.CANCEL_PAYOUT: 100,
        Operation.KEYS: 1,
    },
    notify_total_s=24 * HOUR_S + 4 * 60,
    handoff_s={Method.NATIVE: 2 * HOUR_S, Method.JSAPI: 2 * HOUR_S, Method.APP: 2 * HOUR_S, Method.H5: 300},
    base_urls=("https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"),
    secrets=frozenset({"merchant_key", "apiv3_key"}),
    secrets_optional=frozenset({"public_key"}),
    refund_gap_s=60,
    remembers_s=29 * 24 * HOUR_S,
    refunds_most=50,
)  # fmt: skip


def takes_notices(account: MerchantAccount, url: str) -> bool:
    """Whether WeChat notifies this address: https, or plain http for a test account; no query string."""
    form = r"https://[!-~]+" if account.mode == "live" else r"https?://[!-~]+"
    return len(url) <= 255 and re.fullmatch(form, url) is not None and "?" not in url and "#" not in url
