"""Payees (收款人): bind a bank card or a user of a channel to a member, once, and seal it.

    bind   -> active     the same again is the same payee; the same number with another name is refused
    unbind -> unbound    no new withdrawal goes there; those under way still do

The whole number exists in memory only: while it is bound, and while a channel is asked to pay. Answers, events, logs
and errors show the masked form. Equal payees are found by a keyed digest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tael.base.db import Database, Tx
from tael.base.errors import TaelError
from tael.base.ids import Ids
from tael.base.sealing import Sealer
from tael.channels.contract import PAYEE_KINDS, AlipayUser, BankCard, Payee, WechatUser
from tael.withdrawals import store
from tael.withdrawals.store import BoundPayee, PayeeKind, PayeeState


class PayeeNotFound(TaelError):
    """There is no such payee.
    zh: 收款人不存在。
    """

    status = 404


class PayeeBoundDifferently(TaelError):
    """The member has bound this number with another name, bank or phone; unbind it first.
    zh: 该会员已用不同的姓名、银行或手机号绑定此收款账号，请先解绑。
    """

    status = 409


@dataclass(frozen=True, slots=True)
class NewPayee:
    """A payee to bind to the member `owner`. `space` is the app id that a channel's user id belongs to, or empty."""

    book: int
    owner: int
    payee: Payee
    space: str = ""


class Payees:
    """Binds, finds and opens payees. One per process."""

    def __init__(self, db: Database, ids: Ids, sealer: Sealer, now: Callable[[], datetime]) -> None:
        self.db = db
        self._ids, self._sealer, self._now = ids, sealer, now

    async def bind(self, new: NewPayee) -> tuple[BoundPayee, bool]:
        """Bind a payee; answers it, and whether it is new. Raises `PayeeBoundDifferently`."""
        payee = self._bound(new)
        async with self.db.transaction() as tx:
            for _ in range(2):  # whoever stood in the way may be unbound by the time it is looked at
                if await store.insert_payee(tx, payee):
                    return payee, True
                known = await store.payee_by_fingerprint(
                    tx, book=payee.book, owner=payee.owner, fingerprint=payee.fingerprint
                )
                if known is not None:
                    break
            else:
                raise PayeeNotFound
        if known.content != payee.content:
            raise PayeeBoundDifferently(payee_id=str(known.id))
        return known, False

    async def unbind(self, *, book: int, id: int) -> BoundPayee:
        """Unbind; once more changes nothing. Raises `PayeeNotFound`."""
        async with self.db.transaction() as tx:
            await store.unbind_payee(tx, book=book, id=id, now=self._now())
            return await find_payee(tx, book=book, id=id)

    def open(self, bound: BoundPayee) -> Payee:
        """The payee in full, for the channel and nobody else. Raises `SealBroken`."""
        opened = self._sealer.open(bound.sealed, place=_place(bound.book, bound.id))
        match bound.kind:
            case "bank_card":
                return msgspec.json.decode(opened, type=BankCard)
            case "wechat_user":
                return msgspec.json.decode(opened, type=WechatUser)
            case "alipay_user":
                return msgspec.json.decode(opened, type=AlipayUser)

    def _bound(self, new: NewPayee) -> BoundPayee:
        kind, number, holder = _kind(new.payee), _number(new.payee), _holder(new.payee)
        content, id = msgspec.json.encode(new.payee), self._ids.next()
        return BoundPayee(
            new.book, id, new.owner, kind, new.space, self._sealer.seal(content, place=_place(new.book, id)),
            self._sealer.blind(str(new.book), kind, new.space, *number),
            self._sealer.blind("content", kind, new.space, content.decode()), mask(number[-1]), mask_name(holder),
            "active", self._now(), None,
        )  # fmt: skip


async def find_payee(tx: Tx, *, book: int, id: int) -> BoundPayee:
    """One payee. Raises `PayeeNotFound`."""
    found = (await store.payees(tx, [(book, id)])).get((book, id))
    if found is None:
        raise PayeeNotFound
    return found


async def page(
    tx: Tx, *, book: int, owner: int, state: PayeeState | None, limit: int, older_than: int | None = None
) -> list[BoundPayee]:
    """The payees of a member, newest first (keyset)."""
    return await store.page_of_payees(tx, book=book, owner=owner, state=state, limit=limit, older_than=older_than)


def mask(number: str) -> str:
    """The form of a number that can be shown: its last four characters at most, and never more than a third of it."""
    name, at, domain = number.partition("@")
    if at:
        return f"{name[:1]}***@{domain}"
    shown = min(4, len(number) // 3)
    return "****" + (number[-shown:] if shown else "")


def mask_name(name: str) -> str:
    """The form of a name that can be shown: 王小明 -> 王**."""
    return name[:1] + "*" * min(3, len(name) - 1) if name else ""


def _kind(payee: Payee) -> PayeeKind:
    match payee:
        case BankCard():
            kind: PayeeKind = "bank_card"
        case WechatUser():
            kind = "wechat_user"
        case AlipayUser():
            kind = "alipay_user"
    assert PAYEE_KINDS[kind] is type(payee)
    return kind


def _number(payee: Payee) -> tuple[str, ...]:
    """What tells one payee from another; the last part is the number itself."""
    match payee:
        case BankCard(number):
            return (number,)
        case WechatUser(openid):
            return (openid,)
        case AlipayUser(identity, identity_type):
            return identity_type, identity


def _holder(payee: Payee) -> str:
    match payee:
        case BankCard(holder=holder):
            return holder
        case WechatUser(name=name) | AlipayUser(name=name):
            return name or ""


def _place(book: int, id: int) -> str:
    return f"payee.sealed.{book}.{id}"
