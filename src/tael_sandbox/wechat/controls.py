"""WeChat Pay's controls as typed Python methods."""

from urllib.parse import urlencode

import msgspec

from tael_sandbox.faults import Fault
from tael_sandbox.remote import Remote
from tael_sandbox.wechat.handoff import AppParams, JsapiParams
from tael_sandbox.wechat.orders import State
from tael_sandbox.wechat.views import ChangeMerchant, MerchantView, NewMerchant, OrderView, Rotate, RotationStage, Touch


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
