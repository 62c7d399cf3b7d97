"""Alipay's controls as typed Python methods."""

from typing import TypeVar
from urllib.parse import urlencode

from tael_sandbox.alipay.views import (
    AlipayMerchantView,
    ChangeAlipayMerchant,
    NewAlipayMerchant,
    TopUp,
    TouchTrade,
    TouchTransfer,
    TradeView,
    TransferView,
)
from tael_sandbox.faults import Fault
from tael_sandbox.remote import Remote

_T = TypeVar("_T")


class AlipayControls:
    """What a test or the demo does to Alipay. Trades are named by number, link, QR code or trade_no; transfers by
    number or order id. ``app_id`` is only needed when several merchants share a number.
    """

    def __init__(self, remote: Remote, merchant: AlipayMerchantView) -> None:
        """Ask through ``remote``; ``merchant`` is the first one, as it was at the start."""
        self._remote = remote
        self.merchant = merchant

    async def scan(self, name: str, *, app_id: str = "") -> TradeView:
        """Open the QR code or the cashier: from now on the trade exists."""
        return await self._ask("POST", "scan", TradeView, TouchTrade(name, app_id))

    async def pay(
        self, name: str, *, amount_minor: int | None = None, force: bool = False, app_id: str = ""
    ) -> TradeView:
        """Pay; ``amount_minor`` another amount than agreed, ``force`` even a closed or paid trade."""
        return await self._ask("POST", "pay", TradeView, TouchTrade(name, app_id, amount_minor, force))

    async def decline(self, name: str, *, app_id: str = "") -> TradeView:
        """Let the payment fail; the trade can still be paid."""
        return await self._ask("POST", "decline", TradeView, TouchTrade(name, app_id))

    async def expire(self, name: str, *, app_id: str = "") -> TradeView:
        """Close the trade as if its time were over."""
        return await self._ask("POST", "expire", TradeView, TouchTrade(name, app_id))

    async def finish(self, name: str, *, app_id: str = "") -> TradeView:
        """Let the time for refunds be over: TRADE_FINISHED."""
        return await self._ask("POST", "finish", TradeView, TouchTrade(name, app_id))

    async def refund(self, name: str, *, amount_minor: int | None = None, app_id: str = "") -> TradeView:
        """Give money back by hand, by default all that is left."""
        return await self._ask("POST", "refund", TradeView, TouchTrade(name, app_id, amount_minor))

    async def renotify(self, name: str, *, app_id: str = "") -> TradeView:
        """Send the trade's last notice again."""
        return await self._ask("POST", "renotify", TradeView, TouchTrade(name, app_id))

    async def trades(self) -> list[TradeView]:
        """Every trade, oldest first, unopened links too."""
        return await self._ask("GET", "trades", list[TradeView])

    async def trade(self, name: str) -> TradeView:
        """One trade. Raises ``Refused`` 404."""
        return (await self._ask("GET", f"trades?{urlencode({'name': name})}", list[TradeView]))[0]

    async def transfers(self) -> list[TransferView]:
        """Every transfer, oldest first."""
        return await self._ask("GET", "transfers", list[TransferView])

    async def transfer(self, name: str) -> TransferView:
        """One transfer. Raises ``Refused`` 404."""
        return (await self._ask("GET", f"transfers?{urlencode({'name': name})}", list[TransferView]))[0]

    async def settle_transfer(self, name: str, *, app_id: str = "") -> TransferView:
        """A transfer under way succeeds."""
        return await self._ask("POST", "settle", TransferView, TouchTransfer(name, app_id))

    async def fail_transfer(self, name: str, *, reason: str = "", app_id: str = "") -> TransferView:
        """A transfer under way fails; the money is back."""
        return await self._ask("POST", "fail", TransferView, TouchTransfer(name, app_id, reason))

    async def close_transfer(self, name: str, *, reason: str = "", app_id: str = "") -> TransferView:
        """A transfer that waited for its payment is closed; the money is back."""
        return await self._ask("POST", "close", TransferView, TouchTransfer(name, app_id, reason))

    async def return_transfer(self, name: str, *, reason: str = "", app_id: str = "") -> TransferView:
        """The bank returns a transfer that had succeeded: REFUND."""
        return await self._ask("POST", "return", TransferView, TouchTransfer(name, app_id, reason))

    async def top_up(self, amount_minor: int, *, app_id: str = "") -> AlipayMerchantView:
        """Bring money from outside to a merchant's account (default: the first)."""
        return await self._ask("POST", "top_up", AlipayMerchantView, TopUp(amount_minor, app_id))

    async def merchants(self) -> list[AlipayMerchantView]:
        """Every merchant."""
        return await self._ask("GET", "merchants", list[AlipayMerchantView])

    async def create_merchant(self, wanted: NewAlipayMerchant) -> AlipayMerchantView:
        """Make another merchant."""
        return await self._ask("POST", "merchants", AlipayMerchantView, wanted)

    async def change_merchant(self, app_id: str, change: ChangeAlipayMerchant) -> AlipayMerchantView:
        """Change a merchant's mode, gateway address or limits."""
        return await self._ask("POST", f"merchants/{app_id}", AlipayMerchantView, change)

    async def rotate(self, *, app_id: str = "") -> AlipayMerchantView:
        """Let Alipay sign with a new key and certificate."""
        return await self._ask("POST", "rotate", AlipayMerchantView, {"app_id": app_id})

    async def fault(self, fault: Fault) -> None:
        """Arm a fault; operations are methods without ``alipay.``, and ``notify``."""
        await self._ask("POST", "faults", list[Fault], fault)

    async def heal(self) -> None:
        """Disarm every fault of this channel."""
        await self._ask("DELETE", "faults", list[Fault])

    async def _ask(self, method: str, name: str, kind: type[_T], said: object = None) -> _T:
        return await self._remote.ask(method, f"alipay/{name}", kind, said)
