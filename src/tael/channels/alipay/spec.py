"""What Alipay can do, and the forms that it asks of our numbers and addresses.

Calls per second are configured per app in Alipay's console; these are what an app usually has. Payees are users of
Alipay, whose money does not come back once it is theirs; only transfers to bank cards may return late.
"""

import re

from tael.channels.contract import ConnectorSpec, MerchantAccount, Method, Operation

NUMBER = re.compile(r"[0-9A-Za-z_]{1,64}")
CURRENCY = "CNY"
HOUR_S = 3600
LEAST_PAYOUT_MINOR = 10

SPEC = ConnectorSpec(
    name="alipay",
    methods=frozenset({Method.NATIVE, Method.PAGE, Method.H5, Method.APP}),
    payees=frozenset({"alipay_user"}),
    currencies=frozenset({CURRENCY}),
    numbers=dict.fromkeys(
        (
            Operation.CREATE, Operation.QUERY, Operation.CLOSE, Operation.CANCEL, Operation.REFUND,
            Operation.QUERY_REFUND, Operation.PAYOUT, Operation.QUERY_PAYOUT, Operation.CANCEL_PAYOUT,
        ),
        NUMBER,
    ),
    min_minor=1,
    max_minor=10_000_000_000,
    qps={
        Operation.CREATE: 100, Operation.QUERY: 100, Operation.CLOSE: 100, Operation.CANCEL: 50,
        Operation.REFUND: 50, Operation.QUERY_REFUND: 50,
        Operation.PAYOUT: 50, Operation.QUERY_PAYOUT: 50, Operation.CANCEL_PAYOUT: 50,
        Operation.BILL: 5, Operation.KEYS: 1,
    },
    notify_total_s=25 * HOUR_S,
    handoff_s=dict.fromkeys((Method.NATIVE, Method.PAGE, Method.H5, Method.APP), 2 * HOUR_S),
    base_urls=("https://openapi.alipay.com",),
    secrets=frozenset({"app_private_key"}),
    secrets_optional=frozenset({"alipay_public_key", "app_cert", "alipay_cert", "alipay_root_cert"}),
    refund_gap_s=3,
)  # fmt: skip


def takes_address(account: MerchantAccount, url: str) -> bool:
    """Whether Alipay notifies or returns to this address: https, or plain http for a test account."""
    form = r"https://[!-~]+" if account.mode == "live" else r"https?://[!-~]+"
    return len(url) <= 256 and re.fullmatch(form, url) is not None and "#" not in url


def takes_notices(account: MerchantAccount, url: str) -> bool:
    """Whether notices may go here: as any address, without a query string."""
    return takes_address(account, url) and "?" not in url
