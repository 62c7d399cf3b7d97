"""Find transfers, batches and holds."""

from typing import Literal

from tael.base.db import Tx
from tael.base.errors import JsonValue, TaelError
from tael.ledger import HoldNotFound
from tael.transfers import store
from tael.transfers.store import Batch, Hold, Transfer
from tael.transfers.views import batch_fields, transfer_fields

Direction = Literal["outgoing", "incoming"]


class TransferNotFound(TaelError):
    """There is no such transfer.
    zh: 转账不存在。
    """

    status = 404


class TransferBatchNotFound(TaelError):
    """There is no such batch of transfers.
    zh: 转账批次不存在。
    """

    status = 404


async def find_transfer(tx: Tx, *, book: int, order_no: str) -> Transfer:
    """One transfer. Raises `TransferNotFound`."""
    found = await store.find_transfer(tx, book=book, order_no=order_no)
    if found is None:
        raise TransferNotFound
    return found


async def page(
    tx: Tx, *, book: int, account: int, direction: Direction, limit: int, older_than: int | None = None,
    newer_than: int | None = None,
) -> list[Transfer]:  # fmt: skip
    """Transfers out of an account or into it, newest first, at most `limit`; the cursors are ids."""
    return await store.page(
        tx, book=book, account=account, side="debit" if direction == "outgoing" else "credit", limit=limit,
        older_than=older_than, newer_than=newer_than,
    )  # fmt: skip


async def find_batch(tx: Tx, *, book: int, batch_no: str) -> dict[str, JsonValue]:
    """The view of one batch. Raises `TransferBatchNotFound`."""
    found = await store.find_batch(tx, book=book, batch_no=batch_no)
    if found is None:
        raise TransferBatchNotFound
    return await batch_as_it_stands(tx, found)


async def batch_as_it_stands(tx: Tx, batch: Batch) -> dict[str, JsonValue]:
    """The view of a batch from its rows: the same as its first answer."""
    done: list[tuple[int, dict[str, JsonValue]]] = []
    for one in await store.members_of(tx, [batch]):
        assert one.place is not None, "a member of a batch has a place"
        done.append((one.place, transfer_fields(one)))
    return batch_fields(batch, done, await store.refusals_of(tx, [batch]))


async def find_hold(tx: Tx, *, book: int, id: int) -> Hold:
    """One hold. Raises `HoldNotFound`."""
    found = await store.find_hold(tx, book=book, id=id)
    if found is None:
        raise HoldNotFound
    return found


async def page_of_holds(tx: Tx, *, book: int, account: int, limit: int, older_than: int | None = None) -> list[Hold]:
    """The holds of an account, newest first, at most `limit`."""
    return await store.page_of_holds(tx, book=book, account=account, limit=limit, older_than=older_than)
