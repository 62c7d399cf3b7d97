"""What 99bill can do for us: pay bank cards, answer questions about it, and nothing else.

Public sources give no limits, so calls per second and the largest payout are careful guesses; a merchant account
can override the first (`qps`), and quotas of routing bound the second.
"""

import re

from tael.channels.contract import ConnectorSpec, Operation

PAYOUT_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
CURRENCY = "CNY"
DAY_S = 86_400

SPEC = ConnectorSpec(
    name="bill99",
    methods=frozenset(),
    payees=frozenset({"bank_card"}),
    currencies=frozenset({CURRENCY}),
    numbers=dict.fromkeys((Operation.PAYOUT, Operation.QUERY_PAYOUT, Operation.CANCEL_PAYOUT), PAYOUT_NUMBER),
    min_minor=1,
    max_minor=1_000_000_000,
    qps={Operation.PAYOUT: 20, Operation.QUERY_PAYOUT: 20, Operation.CANCEL_PAYOUT: 20},
    notify_total_s=0,
    handoff_s={},
    base_urls=("https://www.99bill.com",),
    secrets=frozenset({"member_key", "bill99_certificate"}),
    secrets_optional=frozenset(),
    late_return_s=7 * DAY_S,
    remembers_s=6 * DAY_S,
)
