"""The company's merchant accounts at the simulated channels, and the routes that payouts take.

    wechat, alipay    take payments and give them back
    bank-a, bank-b    two members of 99bill that pay bank cards, bank-a first

What an earlier run has added is kept; only the simulator's address may be another one now.
"""

from collections.abc import Sequence
from datetime import datetime

from tael import routing
from tael.base.db import Tx
from tael.base.ids import Ids
from tael.channels import registry
from tael.channels.accounts import AccountRow, MerchantAccounts, list_accounts
from tael.channels.transport import Transport
from tael.routing import Route
from tael_sandbox import AlipayMerchantView, Bill99MerchantView, MerchantView, NewBill99Merchant, SandboxProcess

BANKS = ("bank-a", "bank-b")
CURRENCY = "CNY"
_BALANCE_MINOR = 1_000_000_00


async def connect(
    tx: Tx, sandbox: SandboxProcess, banks: Sequence[Bill99MerchantView], *, book: int, ids: Ids, now: datetime
) -> dict[str, int]:
    """Add the accounts that the book lacks, with routes for those that pay out; answers ids by name."""
    wanted = [
        _wechat(sandbox.merchant, sandbox.base_url, book=book, id=ids.next(), now=now),
        _alipay(sandbox.alipay.merchant, sandbox.base_url, book=book, id=ids.next(), now=now),
        *(_bank(name, one, book=book, id=ids.next(), now=now) for name, one in zip(BANKS, banks, strict=True)),
    ]  # fmt: skip
    known = {(row.channel, row.mchid): row.id for row in await list_accounts(tx) if row.book == book}
    await tx.execute(
        "update merchant_account set base_url = $2, changed_at = $3 where book = $1 and mchid = any($4::text[])",
        book, sandbox.base_url, now, [row.mchid for row in wanted],
    )  # fmt: skip
    missing = [row for row in wanted if (row.channel, row.mchid) not in known]
    if missing:
        await _add(tx, missing, now=now)
    return {row.name: known.get((row.channel, row.mchid), row.id) for row in wanted}


async def banks_of(sandbox: SandboxProcess) -> list[Bill99MerchantView]:
    """The two members of 99bill; a new simulator begins with one."""
    members = await sandbox.bill99.merchants()
    while len(members) < len(BANKS):
        members.append(await sandbox.bill99.create_merchant(NewBill99Merchant(balance_minor=_BALANCE_MINOR)))
    return members[: len(BANKS)]


def at_channel(sandbox: SandboxProcess, banks: Sequence[Bill99MerchantView]) -> dict[str, str]:
    """The accounts' names in the channels' own book, by ours."""
    return {
        "wechat": f"merchant/{sandbox.merchant.mchid}",
        "alipay": f"alipay/merchant/{sandbox.alipay.merchant.app_id}",
        **{name: f"bill99/merchant/{one.member_code}" for name, one in zip(BANKS, banks, strict=True)},
    }


async def _add(tx: Tx, missing: Sequence[AccountRow], *, now: datetime) -> None:
    accounts = MerchantAccounts(registry.connectors(Transport()))
    for row in missing:
        await accounts.add(tx, row)
        if row.name in BANKS:
            route = Route(row.book, "payout", row.id, CURRENCY, row.channel, row.name, BANKS.index(row.name) + 1)
            await routing.put_route(tx, route, now=now)


def _wechat(merchant: MerchantView, base_url: str, *, book: int, id: int, now: datetime) -> AccountRow:
    return AccountRow(
        book=book, id=id, name="wechat", channel="wechat", mode="test", state="active", mchid=merchant.mchid,
        appid=merchant.appid, base_url=base_url,
        config={
            "serial_no": merchant.serial, "public_key_id": merchant.public_key_id, "transfer_scene_id": "1000",
            "transfer_scene_report_infos": '[{"info_type": "活动名称", "info_content": "提现"}]',
        },
        secret_refs={
            "merchant_key": f"file:{merchant.private_key_path}", "apiv3_key": f"file:{merchant.apiv3_key_path}",
            "public_key": f"file:{merchant.public_key_path}",
        },
        qps={}, changed_at=now,
    )  # fmt: skip


def _alipay(merchant: AlipayMerchantView, base_url: str, *, book: int, id: int, now: datetime) -> AccountRow:
    return AccountRow(
        book=book, id=id, name="alipay", channel="alipay", mode="test", state="active", mchid=merchant.seller_id,
        appid=merchant.app_id, base_url=base_url, config={"mode": "certificate"},
        secret_refs={
            "app_private_key": f"file:{merchant.private_key_path}",
            "app_cert": f"file:{merchant.app_certificate_path}",
            "alipay_cert": f"file:{merchant.alipay_certificate_path}",
            "alipay_root_cert": f"file:{merchant.alipay_root_path}",
        },
        qps={}, changed_at=now,
    )  # fmt: skip


def _bank(name: str, member: Bill99MerchantView, *, book: int, id: int, now: datetime) -> AccountRow:
    return AccountRow(
        book=book, id=id, name=name, channel="bill99", mode="test", state="active", mchid=member.member_code,
        appid="", base_url=member.base_url, config={},
        secret_refs={
            "member_key": f"file:{member.private_key_path}",
            "bill99_certificate": f"file:{member.bill99_certificate_path}",
        },
        qps={}, changed_at=now,
    )  # fmt: skip
