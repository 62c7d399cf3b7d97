"""A running simulator of Alipay with our account in it, for tests of the connector. Two programs, no shared code."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree

from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.alipay import Alipay
from tael.channels.alipay.keys import load
from tael.channels.contract import (
    AlipayUser,
    MerchantAccount,
    Method,
    PaymentRef,
    PaymentRequest,
    PayoutRef,
    PayoutRequest,
    RefundRef,
    RefundRequest,
)
from tael.channels.transport import Transport
from tael_sandbox import AlipayMerchantView, Fault, Sandbox

PAYMENT, REFUND, PAYOUT = "RC1" + "0" * 29, "RF1" + "0" * 29, "WD1" + "0" * 29
PAID = Money(8_800, "CNY")
BEFORE = ["drop_before_commit", "5xx_before_commit", "error", "20000_before_commit", "40005", "gateway_error"]
AFTER = [
    "commit_then_drop_reply", "5xx_after_commit", "20000_after_commit", "truncated_body", "html_body", "empty_body",
    "garbage_body", "bad_signature", "unsigned", "unknown_cert_sn", "forged_copy",
]  # fmt: skip
# A refusal that is armed without a code says ACQ.INVALID_PARAMETER, which is final for a new payment.
UNKNOWN_CODE = {"error": {"code": "ACQ.SYSTEM_ERROR"}}


def account_of(merchant: AlipayMerchantView, base_url: str, *, mode: str) -> MerchantAccount:
    secrets = {"app_private_key": merchant.private_key_pem.encode()}
    if mode == "certificate":
        secrets |= {
            "app_cert": merchant.app_certificate_pem.encode(),
            "alipay_cert": merchant.alipay_certificate_pem.encode(),
            "alipay_root_cert": merchant.alipay_root_pem.encode(),
        }
    else:
        secrets["alipay_public_key"] = merchant.alipay_public_key_pem.encode()
    return MerchantAccount(
        book=1, id=1, name="shop", channel="alipay", mode="test", state="active", mchid=merchant.seller_id,
        appid=merchant.app_id, base_url=base_url, config={"mode": mode}, qps={}, keys=load(secrets, {"mode": mode}),
    )  # fmt: skip


@dataclass
class Market:
    """A running simulator, our account there, and the connector."""

    sim: Sandbox
    account: MerchantAccount
    connector: Alipay
    notify_url: str = "http://127.0.0.1:9/n"

    def now(self) -> datetime:
        return datetime.now(UTC)

    def payment(self, **changes) -> PaymentRequest:
        values = {
            "number": PAYMENT, "amount": PAID, "description": '充值 "88" = & / } {', "method": Method.NATIVE,
            "notify_url": self.notify_url, "expires_at": self.now().replace(microsecond=0) + timedelta(minutes=30),
        } | changes  # fmt: skip
        return PaymentRequest(**values)

    def wish(self, **changes) -> RefundRequest:
        values = {
            "number": REFUND, "payment_number": PAYMENT, "payment_ref": None, "amount": Money(3_000, "CNY"),
            "total": PAID, "reason": "退一件", "notify_url": self.notify_url,
        } | changes  # fmt: skip
        return RefundRequest(**values)

    def order(self, **changes) -> PayoutRequest:
        values = {
            "number": PAYOUT, "payee": AlipayUser("2088123412341234", "ALIPAY_USER_ID", "张三"),
            "amount": Money(5_000, "CNY"), "remark": "提现", "notify_url": self.notify_url,
        } | changes  # fmt: skip
        return PayoutRequest(**values)

    async def create(self, request: PaymentRequest):
        return await self.connector.create_payment(self.account, request, now=self.now())

    async def query(self):
        return await self.connector.query_payment(self.account, PaymentRef(PAYMENT), now=self.now())

    async def close(self):
        return await self.connector.close_payment(self.account, PaymentRef(PAYMENT), now=self.now())

    async def cancel(self):
        return await self.connector.cancel_payment(self.account, PaymentRef(PAYMENT), now=self.now())

    async def refund(self, request: RefundRequest | None = None):
        return await self.connector.refund(self.account, request or self.wish(), now=self.now())

    async def query_refund(self, number: str = REFUND):
        ref = RefundRef(number, PAYMENT, Money(3_000, "CNY"))
        return await self.connector.query_refund(self.account, ref, now=self.now())

    async def payout(self, request: PayoutRequest | None = None):
        return await self.connector.payout(self.account, request or self.order(), now=self.now())

    async def query_payout(self):
        return await self.connector.query_payout(self.account, PayoutRef(PAYOUT), now=self.now())

    async def paid(self) -> None:
        """A payment of 88.00, and money to pay out."""
        await self.create(self.payment())
        await self.sim.alipay.pay(PAYMENT)
        await self.sim.alipay.top_up(100_000)

    async def break_(self, operation: str, kind: str, **fault) -> None:
        await self.sim.alipay.fault(Fault(operation=operation, kind=kind, **fault))

    async def sent_minor(self) -> int:
        return sum(one.amount_minor for one in await self.sim.alipay.transfers() if one.status != "FAIL")


@asynccontextmanager
async def opened(prepared: Path, folder: Path) -> AsyncIterator[Market]:
    """A fresh simulator from a folder whose keys are made already: making keys is slow, copying them is not."""
    copytree(prepared, folder)
    transport = Transport(Wire(total_s=2))
    async with Sandbox.start(folder) as sim:
        account = account_of(sim.alipay.merchant, sim.base_url, mode="certificate")
        yield Market(sim, account, Alipay(transport))
    transport.close()
