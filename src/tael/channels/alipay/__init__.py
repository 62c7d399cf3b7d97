"""Alipay's OpenAPI. Knows its wire format and its keys; knows no database, no order and no clock."""

from tael.channels.alipay.connector import Alipay

__all__ = ["Alipay"]
