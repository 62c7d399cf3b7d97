"""The other side: simulators of payment channels and of a business, for tests and the demo. Shares no code with
tael.
"""

from tael_sandbox.alipay.views import (
    AlipayMerchantView,
    ChangeAlipayMerchant,
    NewAlipayMerchant,
    TradeView,
    TransferView,
)
from tael_sandbox.bill99.views import Bill99MerchantView, Bill99OrderView, NewBill99Merchant
from tael_sandbox.controls import Controls
from tael_sandbox.faults import Fault
from tael_sandbox.remote import Refused
from tael_sandbox.sandbox import Ready, Sandbox, SandboxProcess
from tael_sandbox.wechat.handoff import AppParams, JsapiParams
from tael_sandbox.wechat.views import ChangeMerchant, MerchantView, NewMerchant, OrderView

__all__ = [
    "AlipayMerchantView",
    "AppParams",
    "Bill99MerchantView",
    "Bill99OrderView",
    "ChangeAlipayMerchant",
    "ChangeMerchant",
    "Controls",
    "Fault",
    "JsapiParams",
    "MerchantView",
    "NewAlipayMerchant",
    "NewBill99Merchant",
    "NewMerchant",
    "OrderView",
    "Ready",
    "Refused",
    "Sandbox",
    "SandboxProcess",
    "TradeView",
    "TransferView",
]
