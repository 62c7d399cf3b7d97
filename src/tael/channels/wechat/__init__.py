"""WeChat Pay API v3. Knows its wire format and its keys; knows no database, no order and no clock."""

from tael.channels.wechat.connector import WechatPay

__all__ = ["WechatPay"]
