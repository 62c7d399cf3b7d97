"""Everything a test or the demo does to a sandbox, as typed Python methods: time, faults and books here, WeChat Pay's
controls inherited, the other channels' as attributes.
"""

from msgspec import Struct

from tael_sandbox.alipay.controls import AlipayControls
from tael_sandbox.alipay.views import AlipayMerchantView
from tael_sandbox.bill99.controls import Bill99Controls
from tael_sandbox.bill99.views import Bill99MerchantView
from tael_sandbox.clock import Mode, Wire
from tael_sandbox.faults import Fault
from tael_sandbox.remote import Remote
from tael_sandbox.views import BookView, ClockView, DeliveriesView, RequestsView, SetClock
from tael_sandbox.wechat.controls import WechatControls
from tael_sandbox.wechat.views import MerchantView


class First(Struct, frozen=True):
    """The first merchant of every channel."""

    wechat: MerchantView
    alipay: AlipayMerchantView
    bill99: Bill99MerchantView


class Controls(WechatControls):
    """The controls of one sandbox."""

    def __init__(self, base_url: str, first: First) -> None:
        """Talk to the sandbox at ``base_url``; ``first`` are the merchants it began with."""
        super().__init__(Remote(base_url), first.wechat)
        self.base_url = base_url
        self.alipay = AlipayControls(self._remote, first.alipay)
        self.bill99 = Bill99Controls(self._remote, first.bill99)

    async def heal(self) -> None:
        """Disarm every fault of every channel."""
        await self._remote.ask("DELETE", "faults", list[Fault])

    async def advance(self, seconds: int) -> ClockView:
        """Move sandbox time; returns after every notice that became due was tried."""
        return await self._remote.ask("POST", "clock", ClockView, SetClock(advance_s=seconds))

    async def set_clock(
        self, *, mode: Mode | None = None, now_ms: int | None = None, wire: Wire | None = None
    ) -> ClockView:
        """Choose the real or a standing clock, and what signatures follow."""
        return await self._remote.ask("POST", "clock", ClockView, SetClock(mode=mode, now_ms=now_ms, wire=wire))

    async def clock(self) -> ClockView:
        """Sandbox time."""
        return await self._remote.ask("GET", "clock", ClockView)

    async def drain(self) -> DeliveriesView:
        """Wait until no notice is due or on its way."""
        return await self._remote.ask("POST", "drain", DeliveriesView)

    async def book(self) -> BookView:
        """The channels' own book."""
        return await self._remote.ask("GET", "book", BookView)

    async def deliveries(self) -> DeliveriesView:
        """Every try to deliver a notice, and what waits."""
        return await self._remote.ask("GET", "deliveries", DeliveriesView)

    async def requests(self) -> RequestsView:
        """Calls received: counts by operation, among them refused calls, and notices sent (notify)."""
        return await self._remote.ask("GET", "requests", RequestsView)

    async def hang_up(self) -> None:
        """Close the connections to the control interface."""
        await self._remote.close()
