"""How Alipay says no: a code, and where the business said it a sub_code. HTTP is 200 all the same.

40004   the business refuses; signed                20000   the outcome is unknown; signed
40001, 40002, 40005, 40006   the gateway refuses before anything happened; unsigned
"""

from msgspec import Struct

_MESSAGES = {
    "10003": "order success pay inprocess",
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40004": "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}
_WORDS = {
    "ACQ.SYSTEM_ERROR": "系统错误",
    "ACQ.INVALID_PARAMETER": "参数无效",
    "ACQ.TRADE_NOT_EXIST": "交易不存在",
    "ACQ.TRADE_HAS_SUCCESS": "交易已被支付",
    "ACQ.TRADE_HAS_CLOSE": "交易已经关闭",
    "ACQ.TRADE_HAS_FINISHED": "交易已完结",
    "ACQ.TRADE_STATUS_ERROR": "交易状态不合法",
    "ACQ.CONTEXT_INCONSISTENT": "交易信息被篡改",
    "ACQ.TOTAL_FEE_EXCEED": "订单总金额不在允许范围内",
    "ACQ.PAYMENT_AUTH_CODE_INVALID": "支付授权码无效{请刷新付款码}",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": "退款金额超限",
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": "退款金额无效",
    "ACQ.DISCORDANT_REPEAT_REQUEST": "请求信息不一致",
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": "商户的支付宝账户余额不足",
    "PAYER_BALANCE_NOT_ENOUGH": "付款方余额不足",
    "PAYEE_NOT_EXIST": "收款用户不存在",
    "PAYMENT_INFO_INCONSISTENCY": "两次请求商户单号一样，但是参数不一致",
    "ORDER_NOT_EXIST": "转账订单不存在",
    "BILL_NOT_EXIST": "账单不存在",
    "isv.invalid-signature": "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配",
    "isv.invalid-app-id": "无效的AppID参数",
    "isv.app-call-limited": "应用调用次数超限",
    "aop.unknow-error": "系统繁忙",
}
_GATEWAY = frozenset({"20001", "40001", "40002", "40005", "40006"})


class Said(Struct, frozen=True, omit_defaults=True):
    """The node of a refusal."""

    code: str
    msg: str
    sub_code: str = ""
    sub_msg: str = ""
    retry_flag: str = ""


class Refusal(Exception):
    """Alipay's no. ``said`` is the node; ``signed`` whether it is signed."""

    def __init__(self, sub_code: str, *, code: str = "40004", message: str = "", retry_flag: str = "") -> None:
        """Give a sub_code; the message defaults to the usual one."""
        text = message or _WORDS.get(sub_code, sub_code)
        self.sub_code = sub_code
        self.said = Said(code, _MESSAGES.get(code, code), sub_code, text, retry_flag)
        self.signed = code not in _GATEWAY
        super().__init__(f"{code} {sub_code}")
