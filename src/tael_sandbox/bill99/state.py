"""What the simulated 99bill knows: members on disk; orders and money from the journal."""

from tael_sandbox.bill99 import orders
from tael_sandbox.bill99.merchants import Merchant, Merchants, account_of
from tael_sandbox.bill99.orders import GIVEN_BACK, Accepted, Moved, Order, Orders
from tael_sandbox.book import Entry
from tael_sandbox.happened import Happened
from tael_sandbox.world import State, World

NAME = "bill99"
PAYEES, OUTSIDE = "bill99/payees", "bill99/outside"
BEFORE_COMMIT = frozenset({"drop_before_commit", "5xx_before_commit", "error"})
_CALL = BEFORE_COMMIT | {
    *("commit_then_drop_reply", "5xx_after_commit", "delay_ms", "truncated_body", "html_body", "empty_body"),
    *("garbage_body", "bad_signature", "bad_seal", "unsigned", "unsealed", "doctype", "other_order", "other_member"),
    "error_after_commit",
}
FAULTS: dict[str, frozenset[str]] = {"pay": _CALL, "query": _CALL}


class ToppedUp(Happened, frozen=True, tag="bill99.topped_up"):
    """Money came to a member's account from outside."""

    member_code: str
    at_ms: int
    amount_minor: int


Event = orders.Event | ToppedUp


class Bill99(State):
    """99bill's half of one sandbox."""

    def __init__(self, world: World) -> None:
        """Load the members; the journal's replay brings the rest."""
        super().__init__(world, name=NAME, faults=FAULTS)
        self.merchants = Merchants(world.folder / NAME)
        self.orders = Orders()

    def order(self, member_code: str, order_id: str) -> Order | None:
        """The order as it stands now: one whose time has come meanwhile is paid here."""
        found = self.orders.get(member_code, order_id)
        if found is not None and found.status == "101" and 0 < found.due_ms <= self.clock.now_ms():
            self.record(Moved(member_code, order_id, found.due_ms, "111"))
            return self.orders.get(member_code, order_id)
        return found

    def balance_minor(self, merchant: Merchant) -> int:
        """What the member's account holds."""
        return self.book.balances[merchant.account]

    def apply(self, event: Event) -> None:
        """Let an event have happened: an order moves and the book follows."""
        account = account_of(event.member_code)
        match event:
            case ToppedUp():
                self.book.move(Entry(event.at_ms, OUTSIDE, account, event.amount_minor, "top-up", ""))
            case Accepted():
                self.orders.apply(event)
                self.book.move(
                    Entry(event.at_ms, account, PAYEES, event.content.amount_minor, "payout", event.order_id)
                )
            case Moved():
                self.orders.apply(event)
                order = self.orders.get(event.member_code, event.order_id)
                if order is not None and event.status in GIVEN_BACK:
                    amount_minor = order.content.amount_minor
                    self.book.move(Entry(event.at_ms, PAYEES, account, amount_minor, "payout back", event.order_id))
