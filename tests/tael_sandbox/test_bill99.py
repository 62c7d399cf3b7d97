"""The simulated 99bill seen by a client of its own: orders, money, time, refusals, faults, durability."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from tael_sandbox_bill99 import ORDER, PAY, QUERY, SPAN, Member
from tael_sandbox_shop import NOON_MS

from channels.bill99_vectors import BILL99, FOUND, MEMBER
from channels.bill99_vectors import PAY as PAID
from tael_sandbox import Fault, NewBill99Merchant, Refused, Sandbox, SandboxProcess
from tael_sandbox.bill99.sealing import Broken, Seal, put, take
from tael_sandbox.bill99.state import FAULTS

BALANCE = 100_000_000


@pytest.fixture
async def member(sim: Sandbox) -> AsyncIterator[Member]:
    """The server of the first member."""
    caller = Member(sim.bill99.merchant)
    async with caller.http:
        yield caller


async def balance(sim: Sandbox) -> int:
    return (await sim.bill99.merchants())[0].balance_minor


def test_seals_are_what_openssl_makes() -> None:
    for one, sender, reader in ((PAID, MEMBER, BILL99), (FOUND, BILL99, MEMBER)):
        made = put(one.plaintext, data_key=one.data_key, sender=sender, reader=reader.public_key())
        assert (made.signed, made.encrypted) == (one.signed_data, one.encrypted_data)
        for seal in (made, Seal(one.signed_data, one.encrypted_data, one.digital_envelope)):
            assert take(seal, sender=sender.public_key(), reader=reader) == one.plaintext
        with pytest.raises(Broken):
            take(made, sender=reader.public_key(), reader=reader)
        for broken in (Seal("", "", ""), Seal("*", "*", "*"), Seal(made.signed, made.signed, made.envelope)):
            with pytest.raises(Broken):
                take(broken, sender=sender.public_key(), reader=reader)


def test_the_first_member_has_money_keys_and_files(sim: Sandbox) -> None:
    merchant = sim.bill99.merchant
    assert (merchant.balance_minor, merchant.settle_s) == (BALANCE, 5)
    for text, path in (
        (merchant.private_key_pem, merchant.private_key_path),
        (merchant.certificate_pem, merchant.certificate_path),
        (merchant.bill99_certificate_pem, merchant.bill99_certificate_path),
    ):
        assert Path(path).read_text() == text
        assert Path(path).stat().st_mode & 0o077 == 0


async def test_an_order_is_paid_after_its_time(sim: Sandbox, member: Member) -> None:
    said = await member.pay()
    assert (said["orderId"], said["amount"]) == ("W1", "5000")
    assert (await member.query())["status"] == "101"
    assert await balance(sim) == BALANCE - 5000
    await sim.advance(4)
    assert (await member.query())["status"] == "101"
    await sim.advance(1)
    found = await member.query()
    assert (found["status"], found["errorCode"], found["totalCnt"]) == ("111", "0000", "1")
    assert (found["applyDate"], found["endDate"]) == ("2027-01-15 16:00:00", "2027-01-15 16:00:05")
    assert (found["amount"], found["payerMembercode"]) == ("5000", sim.bill99.merchant.member_code)
    assert (await sim.bill99.order(found["orderSeqId"])).order_id == "W1"
    assert await balance(sim) == BALANCE - 5000


STEPS = [
    (["settle"], "111", "", 5000),
    (["fail"], "112", "B0001", 0),
    (["fail:6001"], "112", "6001", 0),
    (["settle", "return_"], "114", "B0001", 0),
    (["settle", "return_:B77"], "114", "B77", 0),
]


@pytest.mark.parametrize(("steps", "status", "code", "gone"), STEPS)
async def test_by_hand(sim: Sandbox, member: Member, steps: list[str], status: str, code: str, gone: int) -> None:
    await sim.bill99.settle_after(0)
    await member.pay()
    await sim.advance(86_400)
    assert (await member.query())["status"] == "101"
    for step in steps:
        name, _, why = step.partition(":")
        view = await getattr(sim.bill99, name)("W1", *([why] if why else []))
    assert (view.status, view.code) == (status, code)
    found = await member.query()
    assert (found["status"], found["errorCode"]) == (status, code or "0000")
    assert await balance(sim) == BALANCE - gone
    assert (await sim.book()).sum_minor == 0


@pytest.mark.parametrize("steps", [["return_"], ["settle", "settle"], ["settle", "fail"], ["fail", "settle"]])
async def test_what_cannot_happen(sim: Sandbox, member: Member, steps: list[str]) -> None:
    await sim.bill99.settle_after(0)
    await member.pay()
    for step in steps[:-1]:
        await getattr(sim.bill99, step)("W1")
    with pytest.raises(Refused) as refused:
        await getattr(sim.bill99, steps[-1])("W1")
    assert refused.value.status == 409


async def test_the_same_number(sim: Sandbox, member: Member) -> None:
    first = await member.pay()
    assert await member.pay() == first
    await sim.advance(10)
    assert await member.pay() == first
    for change in ({"amount": "5001"}, {"bankAcctId": "6214830000000002"}, {"creditName": "李四"}, {"remark": "x"}):
        assert (await member.pay(**change))["errorCode"] == "0003"
    assert (len(await sim.bill99.orders()), await balance(sim)) == (1, BALANCE - 5000)


async def test_a_refused_number_may_be_sent_again(sim: Sandbox, member: Member) -> None:
    much = str(BALANCE + 1)
    assert (await member.pay(amount=much))["errorCode"] == "6001"
    assert (await member.query())["errorCode"] == "Q0018"
    await sim.bill99.top_up(1)
    assert (await member.pay(amount=much))["orderId"] == "W1"
    assert await balance(sim) == 0


WRONG = [
    {"amount": "0"}, {"amount": "50.00"}, {"amount": "-1"}, {"orderId": ""}, {"orderId": "W 1"}, {"bankAcctId": "1"},
    {"creditName": ""}, {"bankName": ""}, {"orderId": "W1</orderId><orderId>W2"},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG)
async def test_wrong_orders(sim: Sandbox, member: Member, change: dict[str, str]) -> None:
    assert (await member.pay(**change))["errorCode"] == "0002"
    assert await sim.bill99.orders() == []


SPANS = [
    ({}, "0000"),
    ({"startDate": "2027-01-15 16:00:00", "endDate": "2027-01-15 16:00:00"}, "0000"),
    ({"startDate": "2027-01-15 16:00:01"}, "Q0018"),
    ({"endDate": "2027-01-15 15:59:59"}, "Q0018"),
    ({"endDate": "2027-01-21 16:00:01"}, "0002"),
    ({"endDate": "2026-12-08 16:00:01"}, "0002"),
    ({"startDate": "yesterday"}, "0002"),
    ({"pageSize": "21"}, "0002"),
    ({"targetPage": "0"}, "0002"),
]


@pytest.mark.parametrize(("change", "code"), SPANS)
async def test_questions_span_at_most_seven_days(sim: Sandbox, member: Member, change: dict, code: str) -> None:
    await member.pay()
    assert (await member.query(**change))["errorCode"] == code
    assert (await member.query("W2", **change))["errorCode"] == ("0002" if code == "0002" else "Q0018")


async def test_who_may_ask(sim: Sandbox, member: Member) -> None:
    other = Member(await sim.bill99.create_merchant(NewBill99Merchant(member_code="10099", balance_minor=1)))
    async with other.http:
        await member.pay()
        assert (await other.query())["errorCode"] == "Q0018"
        assert (await other.pay())["errorCode"] == "6001"
        other.merchant = member.merchant
        assert (await other.query())["errorCode"] == "0004"
    text = member.seal(b"<pay2bankOrder/>")
    cases = [
        (member.envelope(PAY, text, member_code="404"), "0001"),
        (member.envelope(PAY, ""), "0002"),
        (member.envelope(PAY, text.replace("<signedData>", "<signedData>AAAA")), "0004"),
        (member.envelope(PAY, text), "0002"),
        (member.envelope(QUERY, text), "0002"),
        (b"", "0002"),
        (b"<pay2bankRequest/>", "0002"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><pay2bankRequest>&x;</pay2bankRequest>', "0002"),
        (member.envelope(PAY, member.seal(b"<!DOCTYPE a><pay2bankOrder/>")), "0002"),
    ]
    for body, code in cases:
        reply = await member.http.post(PAY[0], content=body)
        assert (reply.status_code, f"<errorCode>{code}<" in reply.text) == (200, True), (body, reply.text)
    assert (await member.http.get(PAY[0])).status_code == 405
    assert (await member.http.post("/fo-pay/elsewhere")).status_code == 404


async def test_both_spellings_of_the_root_are_understood(sim: Sandbox, member: Member) -> None:
    path, root, *rest = PAY
    said = await member.call((path, "pay2BankRequest", *rest), "pay2BankOrder", ORDER)
    assert (said["orderId"], root) == ("W1", "pay2bankRequest")


@pytest.mark.parametrize("kind", sorted(FAULTS["pay"]))
async def test_every_fault_happens_once_and_commits_or_not(sim: Sandbox, member: Member, kind: str) -> None:
    """A reply that can be read and opened despite its fault says that it is about another order or member."""
    await sim.bill99.fault(Fault(operation="pay", kind=kind, out_trade_no="W1"))
    try:
        said = await member.pay()
    except (httpx2.HTTPError, InvalidSignature, ValueError, KeyError, IndexError):
        said = {}
    readable = {
        "delay_ms": {"orderId": "W1"}, "other_member": {"orderId": "W1"}, "doctype": {"orderId": "W1"},
        "other_order": {"orderId": "ANOTHERORDER"}, "error": {"errorCode": "9999"},
        "error_after_commit": {"errorCode": "9999"},
    }  # fmt: skip
    assert readable.get(kind, {}).items() <= said.items()
    assert (said == {}) == (kind not in readable)
    committed = kind not in {"drop_before_commit", "5xx_before_commit", "error"}
    assert (len(await sim.bill99.orders()) == 1, await balance(sim) < BALANCE) == (committed, committed)
    assert (await member.pay())["orderId"] == "W1"
    assert await balance(sim) == BALANCE - 5000
    calls = (await sim.requests()).calls
    assert [(one.channel, one.operation, one.fault) for one in calls] == [
        ("bill99", "bill99.pay", kind), ("bill99", "bill99.pay", ""),
    ]  # fmt: skip


async def test_faults_of_a_question(sim: Sandbox, member: Member) -> None:
    await member.pay()
    await sim.bill99.fault(Fault(operation="query", kind="bad_signature"))
    with pytest.raises(InvalidSignature):
        await member.query()
    await sim.bill99.fault(Fault(operation="query", kind="error", code="0007", count=None))
    assert (await member.query())["errorCode"] == "0007"
    await sim.heal()
    assert (await member.query())["status"] == "101"
    with pytest.raises(Refused):
        await sim.bill99.fault(Fault(operation="notify", kind="drop"))


async def test_a_caller_on_real_time_finds_orders_of_an_advanced_sandbox(sim: Sandbox, member: Member) -> None:
    await sim.set_clock(wire="machine")
    await sim.advance(30 * 86_400)
    await member.pay()
    now = await sim.bill99.order("W1")
    assert now.status == "101"
    assert (await member.query())["errorCode"] == "Q0018", "the caller's days are those of the machine"


async def test_killed_and_restarted(tmp_path: Path) -> None:
    async with SandboxProcess.start(tmp_path / "sim", seed="bill99") as sim:
        await sim.set_clock(mode="manual", now_ms=NOON_MS)
        member = Member(sim.bill99.merchant)
        async with member.http:
            await member.pay()
            await member.pay(orderId="W2")
            await sim.bill99.fail("W2", "B9")
            before = [await sim.bill99.orders(), await sim.bill99.merchants(), await sim.book()]
            await sim.kill()
            await sim.restart()
            assert [await sim.bill99.orders(), await sim.bill99.merchants(), await sim.book()] == before
            assert sim.bill99.merchant.private_key_pem == member.merchant.private_key_pem
            await sim.advance(5)
            assert (await member.query(**SPAN))["status"] == "111"
            assert (await member.query("W2"))["errorCode"] == "B9"


def test_the_certificates_carry_the_keys(sim: Sandbox) -> None:
    merchant = sim.bill99.merchant
    theirs = load_pem_x509_certificate(merchant.bill99_certificate_pem.encode())
    assert theirs.subject.rfc4514_string() == "CN=99bill (sandbox)"
    assert theirs.public_key() != load_pem_x509_certificate(merchant.certificate_pem.encode()).public_key()
    with pytest.raises(ValueError):
        load_pem_public_key(merchant.private_key_pem.encode())
