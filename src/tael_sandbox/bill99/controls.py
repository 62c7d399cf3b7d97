"""99bill's controls as typed Python methods."""

from typing import TypeVar
from urllib.parse import urlencode

from tael_sandbox.bill99.views import (
    Bill99MerchantView,
    Bill99OrderView,
    ChangeBill99Merchant,
    NewBill99Merchant,
    TopUpMember,
    TouchOrder,
)
from tael_sandbox.faults import Fault
from tael_sandbox.remote import Remote

_T = TypeVar("_T")


class Bill99Controls:
    """What a test or the demo does to 99bill. Orders are named by number or 99bill's number; ``member_code`` is only
    needed when several members share a number.
    """

    def __init__(self, remote: Remote, merchant: Bill99MerchantView) -> None:
        """Ask through ``remote``; ``merchant`` is the first one, as it was at the start."""
        self._remote = remote
        self.merchant = merchant

    async def settle(self, order_id: str, *, member_code: str = "") -> Bill99OrderView:
        """An order under way is paid: 111."""
        return await self._ask("POST", "settle", Bill99OrderView, TouchOrder(order_id, member_code))

    async def fail(self, order_id: str, code: str = "", *, member_code: str = "") -> Bill99OrderView:
        """An order under way fails: 112; the money is back."""
        return await self._ask("POST", "fail", Bill99OrderView, TouchOrder(order_id, member_code, code))

    async def return_(self, order_id: str, code: str = "", *, member_code: str = "") -> Bill99OrderView:
        """The bank returns what was paid: 114; the money is back."""
        return await self._ask("POST", "return", Bill99OrderView, TouchOrder(order_id, member_code, code))

    async def orders(self) -> list[Bill99OrderView]:
        """Every order, oldest first."""
        return await self._ask("GET", "orders", list[Bill99OrderView])

    async def order(self, name: str) -> Bill99OrderView:
        """One order. Raises ``Refused`` 404."""
        return (await self._ask("GET", f"orders?{urlencode({'name': name})}", list[Bill99OrderView]))[0]

    async def top_up(self, amount_minor: int, *, member_code: str = "") -> Bill99MerchantView:
        """Bring money from outside to a member's account (default: the first)."""
        return await self._ask("POST", "top_up", Bill99MerchantView, TopUpMember(amount_minor, member_code))

    async def merchants(self) -> list[Bill99MerchantView]:
        """Every member."""
        return await self._ask("GET", "merchants", list[Bill99MerchantView])

    async def create_merchant(self, wanted: NewBill99Merchant) -> Bill99MerchantView:
        """Make another member."""
        return await self._ask("POST", "merchants", Bill99MerchantView, wanted)

    async def settle_after(self, seconds: int, *, member_code: str = "") -> Bill99MerchantView:
        """Let orders that come from now on be paid after so many seconds of sandbox time; 0: by hand."""
        name = f"merchants/{member_code or self.merchant.member_code}"
        return await self._ask("POST", name, Bill99MerchantView, ChangeBill99Merchant(seconds))

    async def fault(self, fault: Fault) -> None:
        """Arm a fault; operations are ``pay`` and ``query``."""
        await self._ask("POST", "faults", list[Fault], fault)

    async def heal(self) -> None:
        """Disarm every fault of this channel."""
        await self._ask("DELETE", "faults", list[Fault])

    async def _ask(self, method: str, name: str, kind: type[_T], said: object = None) -> _T:
        return await self._remote.ask(method, f"bill99/{name}", kind, said)
