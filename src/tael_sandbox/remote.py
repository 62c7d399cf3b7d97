"""The control interface as typed Python methods, the same for a sandbox in this process and for one in another."""

import ssl
from typing import TypeVar
from urllib.parse import urlencode

import httpx2
import msgspec

from tael_sandbox.clock import Mode, Wire
from tael_sandbox.faults import Fault
from tael_sandbox.views import (
    BookView,
    ChangeMerchant,
    ClockView,
    DeliveriesView,
    MerchantView,
    NewMerchant,
    OrderView,
    RequestsView,
    Rotate,
    RotationStage,
    SetClock,
    Touch,
)
from tael_sandbox.wechat.handoff import AppParams, JsapiParams
from tael_sandbox.wechat.orders import State

_T = TypeVar("_T")


class Refused(Exception):
    """The control interface said no; ``status`` is 400, 404 or 409."""

    def __init__(self, status: int, text: str) -> None:
        """Keep what was answered."""
        self.status = status
        super().__init__(f"{status}: {text}")


class Controls:
    """What a test or the demo does to the channel. Orders are named by number, code_url, prepay id or transaction
    id.
    """

    def __init__(self, base_url: str, merchant: MerchantView) -> None:
        """Talk to the sandbox at ``base_url``; ``merchant`` is its first."""
        self.base_url = base_url
        self.merchant = merchant
        # An empty trust store: only plain HTTP to this machine is spoken, and loading the real one takes 20 ms.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=None, trust_env=False, verify=nobody)

    async def pay(
        self, name: str, *, amount_minor: int | None = None, coupon_minor: int = 0, force: bool = False, mchid: str = ""
    ) -> OrderView:
        """Pay; ``amount_minor`` another amount than ordered, ``force`` even a closed or paid order."""
        base = _named(name, mchid)
        touch = msgspec.structs.replace(base, amount_minor=amount_minor, coupon_minor=coupon_minor, force=force)
        return await self._ask("POST", "pay", OrderView, touch)

    async def scan(self, name: str, *, mchid: str = "") -> OrderView:
        """Open the order on the phone: USERPAYING."""
        return await self._ask("POST", "scan", OrderView, _named(name, mchid))

    async def decline(self, name: str, *, state: State = "NOTPAY", mchid: str = "") -> OrderView:
        """Let the payment fail, for now (NOTPAY) or for good (PAYERROR, REVOKED)."""
        return await self._ask("POST", "decline", OrderView, msgspec.structs.replace(_named(name, mchid), state=state))

    async def expire(self, name: str, *, mchid: str = "") -> OrderView:
        """Close the order as if its time were over."""
        return await self._ask("POST", "expire", OrderView, _named(name, mchid))

    async def refund(self, name: str, *, mchid: str = "") -> OrderView:
        """Give the payment back by hand: state REFUND."""
        return await self._ask("POST", "refund", OrderView, _named(name, mchid))

    async def renotify(self, name: str, *, mchid: str = "") -> OrderView:
        """Send the notice of the last payment again."""
        return await self._ask("POST", "renotify", OrderView, _named(name, mchid))

    async def fault(self, fault: Fault) -> None:
        """Arm a fault."""
        await self._ask("POST", "faults", list[Fault], fault)

    async def heal(self) -> None:
        """Disarm every fault."""
        await self._ask("DELETE", "faults", list[Fault])

    async def advance(self, seconds: int) -> ClockView:
        """Move sandbox time; returns after every notice that became due was tried."""
        return await self._ask("POST", "clock", ClockView, SetClock(advance_s=seconds))

    async def set_clock(
        self, *, mode: Mode | None = None, now_ms: int | None = None, wire: Wire | None = None
    ) -> ClockView:
        """Choose the real or a standing clock, and what signatures follow."""
        return await self._ask("POST", "clock", ClockView, SetClock(mode=mode, now_ms=now_ms, wire=wire))

    async def clock(self) -> ClockView:
        """Sandbox time."""
        return await self._ask("GET", "clock", ClockView)

    async def drain(self) -> DeliveriesView:
        """Wait until no notice is due or on its way."""
        return await self._ask("POST", "drain", DeliveriesView)

    async def orders(self) -> list[OrderView]:
        """Every order, oldest first."""
        return await self._ask("GET", "orders", list[OrderView])

    async def order(self, out_trade_no: str) -> OrderView:
        """One order by the merchant's number. Raises ``Refused`` 404."""
        return (await self._ask("GET", f"orders?{urlencode({'out_trade_no': out_trade_no})}", list[OrderView]))[0]

    async def book(self) -> BookView:
        """The channel's own book."""
        return await self._ask("GET", "book", BookView)

    async def deliveries(self) -> DeliveriesView:
        """Every try to deliver a notice, and what waits."""
        return await self._ask("GET", "deliveries", DeliveriesView)

    async def requests(self) -> RequestsView:
        """Calls received: counts by operation (create, query, close, certificates, refused, and notify sent)."""
        return await self._ask("GET", "requests", RequestsView)

    async def merchants(self) -> list[MerchantView]:
        """Every merchant."""
        return await self._ask("GET", "merchants", list[MerchantView])

    async def create_merchant(self, wanted: NewMerchant) -> MerchantView:
        """Make another merchant."""
        return await self._ask("POST", "merchants", MerchantView, wanted)

    async def change_merchant(self, mchid: str, change: ChangeMerchant) -> MerchantView:
        """Change how the platform uses its keys with a merchant."""
        return await self._ask("POST", f"merchants/{mchid}", MerchantView, change)

    async def rotate(self, stage: RotationStage = "all", *, mchid: str = "") -> MerchantView:
        """Change the platform certificate, in steps or at once."""
        return await self._ask("POST", "rotate", MerchantView, Rotate(mchid, stage))

    async def open_jsapi(self, said: JsapiParams) -> OrderView:
        """What the WeChat client does with JSAPI parameters. Raises ``Refused`` 409."""
        return await self._ask("POST", "handoff/jsapi", OrderView, said)

    async def open_app(self, said: AppParams) -> OrderView:
        """What the WeChat client does with APP parameters. Raises ``Refused`` 409."""
        return await self._ask("POST", "handoff/app", OrderView, said)

    async def hang_up(self) -> None:
        """Close the connections to the control interface."""
        await self._http.aclose()

    async def _ask(self, method: str, name: str, kind: type[_T], said: object = None) -> _T:
        content = b"" if said is None else msgspec.json.encode(said)
        reply = await self._http.request(method, f"/_sim/{name}", content=content)
        if reply.status_code >= 400:
            raise Refused(reply.status_code, reply.text)
        return msgspec.json.decode(reply.content, type=kind)


def _named(name: str, mchid: str) -> Touch:
    """``Touch.out_trade_no`` finds an order by any name but a whole code_url."""
    return Touch(code_url=name, mchid="") if name.startswith("weixin://") else Touch(out_trade_no=name, mchid=mchid)
