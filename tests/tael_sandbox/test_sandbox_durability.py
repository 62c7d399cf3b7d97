"""What the sandbox admitted to survives kill -9 of it; its book adds up to zero whatever happened."""

import asyncio
import json
import os
from pathlib import Path
from shutil import copytree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tael_sandbox_shop import ORDER, Ear, Shop

from tael_sandbox import MerchantView, NewMerchant, Sandbox, SandboxProcess
from tael_sandbox.book import Book, Entry
from tael_sandbox.journal import Journal

NUMBER = ORDER["out_trade_no"]


async def test_a_paid_order_survives_kill_9(tmp_path: Path, prepared: Path, ear: Ear) -> None:
    """Killed right after the answer: the payment, the book and the notice's place on the ladder are there."""
    copytree(prepared, tmp_path / "sim")
    async with SandboxProcess.start(tmp_path / "sim") as sim:
        shop = Shop(sim.merchant)
        async with shop.http:
            ear.script = [500]
            for index in range(20):
                number = f"order_{index}"
                await shop.order(out_trade_no=number, notify_url=ear.url)
                paid = await sim.pay(number)
                if index == 19:
                    await sim.kill()
            await sim.restart()
            said = (await shop.query("order_19")).json()
            assert (said["trade_state"], said["transaction_id"]) == ("SUCCESS", paid.payments[0].transaction_id)
            book = await sim.book()
            assert book.paid[sim.merchant.mchid].count == 20
            assert book.sum_minor == 0
            await sim.advance(15)
            told = {shop.read(one)["out_trade_no"] for one in ear.heard}
            assert told == {f"order_{index}" for index in range(20)}


async def test_a_sandbox_continues_where_it_stopped(tmp_path: Path, prepared: Path, ear: Ear) -> None:
    folder = tmp_path / "sim"
    copytree(prepared, folder)
    async with Sandbox.start(folder) as sim:
        await sim.set_clock(mode="manual", now_ms=1_800_000_000_000)
        shop = Shop(sim.merchant, now=1_800_000_000)
        async with shop.http:
            for number, act in (("paid_1", sim.pay), ("scanned_1", sim.scan), ("expired_1", sim.expire)):
                await shop.order(out_trade_no=number, notify_url=ear.url)
                await act(number)
            ear.script = [500, 500, 500]
            await sim.renotify("paid_1")
            await sim.advance(30)
            await sim.refund("paid_1")
            before = (await sim.orders(), await sim.book(), await sim.clock(), _keys(await sim.merchants()))
            pending = (await sim.deliveries()).pending
    async with Sandbox.start(folder) as sim:
        after = (await sim.orders(), await sim.book(), await sim.clock(), _keys(await sim.merchants()))
        assert after == before
        assert (await sim.deliveries()).pending == pending


async def test_a_torn_last_line_is_cut_off(tmp_path: Path, prepared: Path) -> None:
    folder = tmp_path / "sim"
    copytree(prepared, folder)
    async with Sandbox.start(folder) as sim:
        shop = Shop(sim.merchant)
        async with shop.http:
            await shop.order()
    journal = folder / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"type":"wechat.pa')
    async with Sandbox.start(folder) as sim:
        assert [order.out_trade_no for order in await sim.orders()] == [NUMBER]
        await sim.pay(NUMBER)
    assert journal.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())


async def test_one_folder_serves_one_sandbox(sim: Sandbox) -> None:
    with pytest.raises(BlockingIOError):
        async with Sandbox.start(sim.world.folder):
            pass


async def test_a_disk_that_refused_once_is_not_trusted_again(tmp_path: Path) -> None:
    read_only = os.open(tmp_path / "journal", os.O_RDONLY | os.O_CREAT)
    journal = Journal(read_only)
    for _ in range(2):
        journal.append(b"{}")
        with pytest.raises(OSError, match="Bad file descriptor"):
            await journal.settled()
    with pytest.raises(OSError, match="Bad file descriptor"):
        await journal.close()


@pytest.mark.parametrize("callers", [1, 50])
async def test_callers_share_a_sync_and_each_finds_its_line(tmp_path: Path, callers: int) -> None:
    journal, _ = Journal.open(tmp_path / "journal")

    async def write(index: int) -> bool:
        line = f"line {index}".encode()
        journal.append(line)
        await journal.settled()
        return line in (tmp_path / "journal").read_bytes().splitlines()

    assert all(await asyncio.gather(*(write(index) for index in range(callers))))
    await journal.close()


async def test_nothing_is_answered_before_it_is_on_disk(sim: Sandbox, shop: Shop) -> None:
    journal = sim.world.folder / "journal.jsonl"
    await shop.order()
    assert NUMBER in journal.read_text()
    await sim.pay(NUMBER)
    assert '"wechat.paid"' in journal.read_text()


async def test_the_book_by_hand(sim: Sandbox, shop: Shop) -> None:
    await shop.order(amount={"total": 10_000})
    await sim.pay(NUMBER, coupon_minor=1_000)
    merchant, opening = f"merchant/{sim.merchant.mchid}", 100_000_000
    book = await sim.book()
    wanted = {"payers": -9_000, "coupons": -1_000, "fees": 60, merchant: opening + 9_940, "outside": -opening}
    assert {name: book.balances[name] for name in wanted} == wanted
    await sim.refund(NUMBER)
    book = await sim.book()
    assert (book.balances[merchant] - opening, book.balances["payers"], book.sum_minor) == (940, 0, 0)


@pytest.mark.parametrize(("total", "fee"), [(1, 0), (83, 0), (84, 1), (100, 1), (249, 1), (250, 2), (10_000, 60)])
async def test_the_fee_is_rounded_half_up(sim: Sandbox, total: int, fee: int) -> None:
    assert sim.channels.wechat.state.merchants.all()[0].fee_minor(total) == fee


async def test_files_with_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    async with Sandbox.start(tmp_path / "new", merchant=NewMerchant(mchid="M1", appids=("wx1", "wx2"))) as sim:
        assert (sim.merchant.mchid, sim.merchant.appids) == ("M1", ("wx1", "wx2"))
        folder = Path(sim.merchant.private_key_path).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert Path(sim.merchant.private_key_path).read_text() == sim.merchant.private_key_pem


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 10**12)), max_size=50))
def test_any_book_adds_up_to_zero(moves: list[tuple[str, str, int]]) -> None:
    book = Book()
    for debit, credit, amount in moves:
        book.move(Entry(0, debit, credit, amount, "any", ""))
    assert sum(book.balances.values()) == 0
    assert len(book.entries) == sum(amount > 0 for _, _, amount in moves)


def _keys(merchants: list[MerchantView]) -> list[MerchantView]:
    """The same merchants without the port, which a restart changes."""
    return [msgspec.structs.replace(one, base_url="") for one in merchants]
