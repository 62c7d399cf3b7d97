"""What Alipay's pages say, in both languages."""

from tael_sandbox.alipay.trades import State
from tael_sandbox.words import Language, Words

WORDS: dict[Language, Words[State]] = {
    "en": Words(
        name="Alipay",
        latest="Latest trades",
        none="No payment was asked for yet.",
        gone="This payment link does not exist.",
        merchant="App",
        states={
            "LINK": "Not opened",
            "DEAD": "Link no longer valid",
            "WAIT_BUYER_PAY": "Not paid",
            "TRADE_SUCCESS": "Paid",
            "TRADE_FINISHED": "Finished",
            "TRADE_CLOSED": "Closed",
        },
    ),
    "zh": Words(
        name="支付宝",
        latest="最近的交易",
        none="还没有交易。",
        gone="付款链接不存在。",
        merchant="应用",
        states={
            "LINK": "未打开",
            "DEAD": "链接已失效",
            "WAIT_BUYER_PAY": "等待付款",
            "TRADE_SUCCESS": "已支付",
            "TRADE_FINISHED": "已完结",
            "TRADE_CLOSED": "已关闭",
        },
    ),
}
