"""The other side: simulators of payment channels and of a business, for tests and the demo. Shares no code with
tael.
"""

from tael_sandbox.faults import Fault
from tael_sandbox.remote import Controls, Refused
from tael_sandbox.sandbox import Ready, Sandbox, SandboxProcess
from tael_sandbox.views import ChangeMerchant, MerchantView, NewMerchant, OrderView
from tael_sandbox.wechat.handoff import AppParams, JsapiParams

__all__ = [
    "AppParams",
    "ChangeMerchant",
    "Controls",
    "Fault",
    "JsapiParams",
    "MerchantView",
    "NewMerchant",
    "OrderView",
    "Ready",
    "Refused",
    "Sandbox",
    "SandboxProcess",
]
