"""The end: every row of the ledger is checked, and our books are compared with the channels' own, account by account.

payments - refunds - payouts   the same here and at the channel, per merchant account
quota used                     what each bank account has really paid
"""

from tael.ledger import AccountId, BookId, balances
from tael.ledger.verify import verify
from tael_demo.merchants import BANKS
from tael_demo.play import Play, yuan
from tael_demo.stage import BOOK

_NOT_OURS = frozenset({"funds", "top-up", "fee", "fee back"})
"""What the channel books and the company does not yet: money put there from outside, and fees."""


async def balanced(play: Play) -> None:
    """The books."""
    play.title("the books", "checked row by row, and compared with each channel's own book")
    report = await verify(play.stage.db, BookId(BOOK))
    play.check(f"{report.postings} postings verified: sums are zero, every chain is unbroken", report.ok)
    ours: dict[str, int] = {}
    theirs: dict[str, int] = {}

    async def equal() -> bool:
        ours.update(await _ours(play))
        theirs.update(await _theirs(play))
        return ours == theirs

    await play.until(equal, "payments less refunds less payouts are the same here and at each channel:")
    for name, amount in ours.items():
        play.say(f"{name:<7} here {yuan(amount)}   there {yuan(theirs[name])}")
    used = await _used(play)
    shown = ", ".join(f"{name} {yuan(used[name])}" for name in BANKS)
    play.check(f"quota used is what was paid: {shown}", all(used[name] == -theirs[name] for name in BANKS))


async def _ours(play: Play) -> dict[str, int]:
    """What the ledger says that each channel owes the company, by name of the merchant account."""
    names = {id: name for name, id in play.stage.merchants.ids.items()}
    async with play.stage.db.report() as tx:
        rows = await tx.fetch(
            "select id, owner from account where book = $1 and subject = 'channel.receivable' and owner = any($2)",
            BOOK, list(names),
        )  # fmt: skip
        found = await balances(tx, BookId(BOOK), [AccountId(row["id"]) for row in rows])
    owners = {row["id"]: row["owner"] for row in rows}
    return dict.fromkeys(play.stage.merchants.ids, 0) | {names[owners[one.account]]: one.total for one in found}


async def _theirs(play: Play) -> dict[str, int]:
    """The same as the channels know it."""
    entries = (await play.stage.sandbox.book()).entries
    return {
        name: sum(
            one.amount_minor if one.credit == account else -one.amount_minor
            for one in entries
            if account in (one.debit, one.credit) and one.kind not in _NOT_OURS
        )
        for name, account in play.stage.merchants.at_channel.items()
    }


async def _used(play: Play) -> dict[str, int]:
    """What routing has counted as used of each bank account's quota, ever."""
    async with play.stage.db.report() as tx:
        rows = await tx.fetch(
            """select merchant_account, sum(amount)::bigint as used from route_hold
               where book = $1 and operation = 'payout' and state = 'used' group by 1""",
            BOOK,
        )  # fmt: skip
    used = {row["merchant_account"]: row["used"] for row in rows}
    return {name: used.get(play.stage.merchants.ids[name], 0) for name in BANKS}
