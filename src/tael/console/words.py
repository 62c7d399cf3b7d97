"""The words of the trade for names in the data, in both languages; a name without a word is shown as it is."""

WORDS = {
    "created": ("created", "已创建"), "paying": ("paying", "支付中"), "paid": ("paid", "已支付"),
    "failed": ("failed", "失败"), "closed": ("closed", "已关闭"), "refunding": ("refunding", "退款中"),
    "refunded": ("refunded", "已退款"), "invalid": ("invalid", "无效"), "unknown": ("unknown", "结果未知"),
    "reviewing": ("waits for approval", "待审批"), "approved": ("approved", "已审批"),
    "returned": ("returned by the bank", "已退票"),
    "pending": ("pending", "待决定"), "rejected": ("rejected", "已驳回"), "cancelled": ("cancelled", "已撤销"),
    "expired": ("expired", "已过期"), "approve": ("approved", "同意"), "reject": ("rejected", "驳回"),
    "recharge": ("recharge", "充值"), "payment": ("payment", "收单"), "withdrawal": ("withdrawal", "提现"),
    "refund": ("refund", "退款"), "bank_card": ("bank card", "银行卡"), "wechat_user": ("WeChat user", "微信用户"),
    "alipay_user": ("Alipay user", "支付宝用户"),
    "late_payment": ("late payment", "关单后到账"), "paid_twice": ("paid twice", "重复支付"),
    "amount_mismatch": ("amount differs", "金额不符"), "account_closed": ("account closed", "账户已关闭"),
    "channel.receivable": ("Channel receivable", "应收渠道款"), "customer.balance": ("Customer balances", "客户余额"),
    "customer.spend_only": ("Spend-only balances", "仅可消费余额"),
    "suspense.receipts": ("Suspense receipts", "暂收款"), "suspense.payouts": ("Suspense payouts", "暂付款"),
    "payouts.payable": ("Payouts payable", "应付提现款"), "refunds.payable": ("Refunds payable", "应付退款"),
    "chosen": ("pays now", "将由此出款"), "available": ("available", "可用"), "pass": ("pass", "通过"),
    "daily_limit": ("daily limit reached", "已达日限额"), "monthly_limit": ("monthly limit reached", "已达月限额"),
    "payee_daily_limit": ("the payee's daily limit reached", "已达收款方日限额"),
    "payee_daily_count": ("the payee's daily count reached", "已达收款方日笔数"),
    "payee_monthly_limit": ("the payee's monthly limit reached", "已达收款方月限额"),
    "paused": ("paused", "已停用"), "cooling": ("cooling down", "冷却中"),
    "other_currency": ("other currency", "币种不符"), "other_channel": ("other channel", "渠道不符"),
    "not_asked_for": ("not asked for", "未指定"), "excluded": ("tried, or cannot pay this", "已尝试或不适用"),
    "below_single_min": ("below the minimum", "低于单笔下限"),
    "above_single_max": ("above the maximum", "超过单笔上限"),
    "day": ("today", "当日"), "month": ("this month", "当月"),
    "review": ("needs a look", "需人工复核"), "refuse": ("refused", "拒绝"),
}  # fmt: skip


def word_of(name: str, language: str) -> str:
    """A state, kind or reason in the words of the trade, in `en` or `zh`."""
    return WORDS.get(name, (name, name))[language == "zh"]
