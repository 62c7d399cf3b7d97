"""What WeChat Pay's pages say, in both languages."""

from tael_sandbox.wechat.orders import State
from tael_sandbox.words import Language, Words

WORDS: dict[Language, Words[State]] = {
    "en": Words(
        name="WeChat Pay",
        latest="Latest orders",
        none="No order was placed yet.",
        gone="This payment link does not exist or is too old.",
        merchant="Merchant",
        states={
            "NOTPAY": "Not paid",
            "USERPAYING": "The user is paying",
            "SUCCESS": "Paid",
            "REFUND": "Refunded",
            "CLOSED": "Closed",
            "REVOKED": "Revoked",
            "PAYERROR": "Payment failed",
        },
    ),
    "zh": Words(
        name="微信支付",
        latest="最近的订单",
        none="还没有订单。",
        gone="付款链接不存在或已过期。",
        merchant="商户号",
        states={
            "NOTPAY": "未支付",
            "USERPAYING": "用户支付中",
            "SUCCESS": "已支付",
            "REFUND": "已退款",
            "CLOSED": "已关闭",
            "REVOKED": "已撤销",
            "PAYERROR": "支付失败",
        },
    ),
}
