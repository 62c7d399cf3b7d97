"""WeChat Pay's controls as typed Python methods."""

from urllib.parse import urlencode

import msgspec

from tael_sandbox.faults import Fault
from tael_sandbox.remote import Remote
from tael_sandbox.wechat.handoff import AppParams, JsapiParams
from tael_sandbox.wechat.orders import State
from tael_sandbox.wechat.transfers import TransferState
from tael_sandbox.wechat.views import (
    BalanceView,
    ChangeMerchant,
    Fund,
    MerchantView,
    NameUser,
    NewMerchant,
    OrderView,
    RefundView,
    Rotate,
    RotationStage,
    Touch,
    TouchRefund,
    TouchTransfer,
    TransferView,
)


class WechatControls:
    """What a test or the demo does to WeChat Pay. Orders are named by number, code_url, prepay id or transaction id."""

    def __init__(self, remote: Remote, merchant: MerchantView) -> None:
        """Ask through ``remote``; ``merchant`` is the first one."""
        self._remote = remote
        self.merchant = merchant

    async def pay(
        self, name: str, *, amount_minor: int | None = None, coupon_minor: int = 0, force: bool = False, mchid: str = ""
    ) -> OrderView:
        """Pay; ``amount_minor`` another amount than ordered, ``force`` even a closed or paid order."""
        base = _named(name, mchid)
        touch = msgspec.structs.replace(base, amount_minor=amount_minor, coupon_minor=coupon_minor, force=force)
        return await self._remote.ask("POST", "pay", OrderView, touch)

    async def scan(self, name: str, *, mchid: str = "") -> OrderView:
        """Open the order on the phone: USERPAYING."""
        return await self._remote.ask("POST", "scan", OrderView, _named(name, mchid))

    async def decline(self, name: str, *, state: State = "NOTPAY", mchid: str = "") -> OrderView:
        """Let the payment fail, for now (NOTPAY) or for good (PAYERROR, REVOKED)."""
        return await self._remote.ask(
            "POST", "decline", OrderView, msgspec.structs.replace(_named(name, mchid), state=state)
        )

    async def expire(self, name: str, *, mchid: str = "") -> OrderView:
        """Close the order as if its time were over."""
        return await self._remote.ask("POST", "expire", OrderView, _named(name, mchid))

    async def refund(self, name: str, *, mchid: str = "") -> OrderView:
        """Give the payment back by hand: state REFUND."""
        return await self._remote.ask("POST", "refund", OrderView, _named(name, mchid))

    async def renotify(self, name: str, *, mchid: str = "") -> OrderView:
        """Send the notice of the last payment again."""
        return await self._remote.ask("POST", "renotify", OrderView, _named(name, mchid))

    async def refunds(self) -> list[RefundView]:
        """Every refund that was asked for over the API, oldest first."""
        return await self._remote.ask("GET", "refunds", list[RefundView])

    async def settle_refund(self, out_refund_no: str, *, mchid: str = "") -> RefundView:
        """Let the refund arrive now: SUCCESS."""
        return await self._remote.ask("POST", "refunds/settle", RefundView, TouchRefund(out_refund_no, mchid))

    async def close_refund(self, out_refund_no: str, *, mchid: str = "") -> RefundView:
        """Let the refund be closed: the money is back at the merchant."""
        return await self._remote.ask("POST", "refunds/close", RefundView, TouchRefund(out_refund_no, mchid))

    async def abnormal_refund(self, out_refund_no: str, *, mchid: str = "") -> RefundView:
        """Let the refund find the payer's card dead: ABNORMAL, the money is back at the merchant."""
        return await self._remote.ask("POST", "refunds/abnormal", RefundView, TouchRefund(out_refund_no, mchid))

    async def transfers(self) -> list[TransferView]:
        """Every transfer, oldest first."""
        return await self._remote.ask("GET", "transfers", list[TransferView])

    async def confirm_transfer(self, out_bill_no: str, *, mchid: str = "") -> TransferView:
        """The user confirms, even one that is just being cancelled: SUCCESS."""
        return await self._remote.ask("POST", "transfers/confirm", TransferView, TouchTransfer(out_bill_no, mchid))

    async def fail_transfer(
        self, out_bill_no: str, reason: str = "OTHER_FAIL_REASON_TYPE", *, mchid: str = ""
    ) -> TransferView:
        """Let the transfer fail for ``reason``; the money is back at the merchant."""
        touch = TouchTransfer(out_bill_no, mchid, reason=reason)
        return await self._remote.ask("POST", "transfers/fail", TransferView, touch)

    async def cancel_transfer(self, out_bill_no: str, *, mchid: str = "") -> TransferView:
        """Let the transfer be CANCELLED; the money is back at the merchant."""
        return await self._remote.ask("POST", "transfers/cancel", TransferView, TouchTransfer(out_bill_no, mchid))

    async def move_transfer(self, out_bill_no: str, state: TransferState, *, mchid: str = "") -> TransferView:
        """Show another state that is not final, and stay in it."""
        touch = TouchTransfer(out_bill_no, mchid, state=state)
        return await self._remote.ask("POST", "transfers/move", TransferView, touch)

    async def name_user(self, openid: str, name: str) -> None:
        """Tell the platform a user's real name; transfers to another name fail from now on."""
        await self._remote.ask("POST", "users", NameUser, NameUser(openid, name))

    async def top_up(self, amount_minor: int, *, mchid: str = "") -> BalanceView:
        """Bring money into a merchant's balance."""
        return await self._remote.ask("POST", "funds", BalanceView, Fund(amount_minor, mchid))

    async def draw_down(self, amount_minor: int, *, mchid: str = "") -> BalanceView:
        """Take money out of a merchant's balance. Raises ``Refused`` 409 when there is not so much."""
        return await self._remote.ask("POST", "funds", BalanceView, Fund(-amount_minor, mchid))

    async def fault(self, fault: Fault) -> None:
        """Arm a fault."""
        await self._remote.ask("POST", "faults", list[Fault], fault)

    async def orders(self) -> list[OrderView]:
        """Every order, oldest first."""
        return await self._remote.ask("GET", "orders", list[OrderView])

    async def order(self, out_trade_no: str) -> OrderView:
        """One order by the merchant's number. Raises ``Refused`` 404."""
        return (await self._remote.ask("GET", f"orders?{urlencode({'out_trade_no': out_trade_no})}", list[OrderView]))[
            0
        ]

    async def merchants(self) -> list[MerchantView]:
        """Every merchant."""
        return await self._remote.ask("GET", "merchants", list[MerchantView])

    async def create_merchant(self, wanted: NewMerchant) -> MerchantView:
        """Make another merchant."""
        return await self._remote.ask("POST", "merchants", MerchantView, wanted)

    async def change_merchant(self, mchid: str, change: ChangeMerchant) -> MerchantView:
        """Change how the platform uses its keys with a merchant."""
        return await self._remote.ask("POST", f"merchants/{mchid}", MerchantView, change)

    async def rotate(self, stage: RotationStage = "all", *, mchid: str = "") -> MerchantView:
        """Change the platform certificate, in steps or at once."""
        return await self._remote.ask("POST", "rotate", MerchantView, Rotate(mchid, stage))

    async def open_jsapi(self, said: JsapiParams) -> OrderView:
        """What the WeChat client does with JSAPI parameters. Raises ``Refused`` 409."""
        return await self._remote.ask("POST", "handoff/jsapi", OrderView, said)

    async def open_app(self, said: AppParams) -> OrderView:
        """What the WeChat client does with APP parameters. Raises ``Refused`` 409."""
        return await self._remote.ask("POST", "handoff/app", OrderView, said)


def _named(name: str, mchid: str) -> Touch:
    """``Touch.out_trade_no`` finds an order by any name but a whole code_url."""
    return Touch(code_url=name, mchid="") if name.startswith("weixin://") else Touch(out_trade_no=name, mchid=mchid)
