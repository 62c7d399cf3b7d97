"""What a person has to know about money: the kinds of alert that payments, payouts and refunds raise.

A contradiction is a verified statement of a channel that the books cannot follow: nothing was changed, or the money
stands in suspense. The others are about waiting: nothing is lost, but only a person can make it go on.
"""

from tael.alerts import AlertKind

PAYMENT_CONTRADICTION = AlertKind(
    "payment_contradiction", "critical",
    en="The channel reports payment {subject} again, with another amount. Nothing was changed.",
    zh="渠道再次通知支付流水 {subject}，但金额不同；未做任何更改，请人工核对。",
)  # fmt: skip
PAYOUT_CONTRADICTION = AlertKind(
    "payout_contradiction", "critical",
    en="The channel contradicts itself or us about payout {subject}. Compare with its own records.",
    zh="渠道对出款流水 {subject} 的说法与记录矛盾，请与渠道账单核对。",
)  # fmt: skip
PAYOUT_WAITS = AlertKind(
    "payout_waits", "warning", en="Withdrawal {subject} finds no merchant account that can pay it: {reason}",
    zh="提现 {subject} 没有可用的出款商户号：{reason}",
)  # fmt: skip
PAYOUT_UNKNOWN = AlertKind(
    "payout_unknown", "critical",
    en="Payout {subject} has been unknown for {days} days. The money stays frozen; ask the channel.",
    zh="出款流水 {subject} 结果未知已 {days} 天，资金保持冻结，请向渠道查询。",
)  # fmt: skip
REFUND_CONTRADICTION = AlertKind(
    "refund_contradiction", "critical",
    en="The channel contradicts itself or us about refund {subject}. Compare with its own records.",
    zh="渠道对退款流水 {subject} 的说法与记录矛盾，请与渠道账单核对。",
)  # fmt: skip
REFUND_ABNORMAL = AlertKind(
    "refund_abnormal", "warning",
    en="Refund {subject} could not reach the payer; the money is back at the merchant account.",
    zh="退款 {subject} 无法退回付款人，资金已回到商户号，请人工处理。",
)  # fmt: skip
