"""How the channel says no: an HTTP status, a code and a message, with the field that is wrong where there is one."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

_REFUSALS: dict[str, tuple[int, str]] = {
    "PARAM_ERROR": (400, "参数错误"),
    "APPID_MCHID_NOT_MATCH": (400, "appid和mch_id不匹配"),
    "MCH_NOT_EXISTS": (400, "商户号不存在"),
    "ORDERPAID": (400, "该订单已支付"),
    "ORDER_CLOSED": (400, "该订单已关闭"),
    "INVALID_REQUEST": (400, "请求不符合业务规则"),
    "SIGN_ERROR": (401, "签名错误"),
    "NO_AUTH": (403, "商户无权限"),
    "NOT_ENOUGH": (403, "商户余额不足"),
    "OUT_TRADE_NO_USED": (403, "商户订单号重复"),
    "ORDER_NOT_EXIST": (404, "订单不存在"),
    "NOT_FOUND": (404, "记录不存在"),
    "RESOURCE_NOT_EXISTS": (404, "请求的资源不存在"),
    "USERPAYING": (202, "用户支付中，需要输入密码"),
    "FREQUENCY_LIMITED": (429, "频率超限"),
    "SYSTEM_ERROR": (500, "系统异常，请稍后重试"),
}


class Detail(Struct, frozen=True):
    """Which field is wrong and why."""

    field: str
    issue: str
    location: str = "body"
    value: str = ""


class _Body(Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    detail: Detail | UnsetType = UNSET


class Refusal(Exception):
    """The channel's no. ``status`` and ``body`` are what goes over the wire."""

    def __init__(self, code: str, *, message: str = "", status: int = 0, detail: Detail | None = None) -> None:
        """Give a code; status and message default to the usual ones of that code."""
        usual_status, usual_message = _REFUSALS.get(code, (400, code))
        self.code = code
        self.status = status or usual_status
        self.body = msgspec.json.encode(_Body(code, message or usual_message, UNSET if detail is None else detail))
        super().__init__(code)
