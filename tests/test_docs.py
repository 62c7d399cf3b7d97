"""What the documents say is true: links resolve, names exist, commands exist, settings exist, and the examples run."""

import asyncio
import contextlib
import importlib
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from shop import BOOK, Shop, open_shop
from tael.base.errors import catalogue, code
from tael.base.settings import Settings
from tael.channels.accounts import AccountRow
from tael.guard import keys
from tael.risk.rule_sets import problems_of, read_toml

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECIPES = ROOT / "docs/recipes"
RECIPE = RECIPES / "take-a-recharge.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def links(path: Path) -> list[str]:
    return [link for link in LINK.findall(without_code(path.read_text("utf-8"))) if "://" not in link]


def code_of(text: str) -> str:
    """Everything that is set as code, inline or in blocks."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", without_code(text))])


def row(text: str, column: int) -> list[str]:
    """One column of every table row of a page, headings and rulers left out."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [cells[column].strip() for cells in rows if len(cells) > column and not set(cells[column]) <= set("- :")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [link for link in links(page) if not (page.parent / link.partition("#")[0]).exists()]
    dead += [link for link in links(page) if link.partition("#")[2] not in {"", *anchors(page, link.partition("#")[0])}]
    assert not dead


def anchors(page: Path, link: str) -> list[str]:
    """What the headings of the page that a link leads to are called in addresses."""
    path = page.parent / link if link else page
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M) if path.suffix == ".md" else []
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_page_names_existing_commands(page: Path) -> None:
    from tael.cli.commands import app

    unknown: list[str] = []
    for first, second in re.findall(
        r"(?:^|[\s(/`])tael ([a-z]+)(?: ([a-z_]+)\b)?", code_of(page.read_text("utf-8")), re.M
    ):
        if first not in set(app):
            unknown.append(first)
        elif (inner := app[first].resolved_commands()) and second and second not in inner:
            unknown.append(f"{first} {second}")
    assert not unknown


def test_every_setting_is_described_and_every_described_one_exists() -> None:
    settings = {f"TAEL_{field.upper()}" for field in Settings.model_fields}
    described = set(re.findall(r"`(TAEL_\w+)`", (ROOT / "docs/recipes/run-in-production.md").read_text("utf-8")))
    assert described == settings


def test_the_described_defaults_are_the_defaults() -> None:
    table = (ROOT / "docs/recipes/run-in-production.md").read_text("utf-8")
    shown = dict(re.findall(r"^\| `TAEL_(\w+)` \| `([^`]*)` \|", table, re.MULTILINE))
    assert len(shown) >= 8
    for field, text in shown.items():
        default = Settings.model_fields[field.lower()].default
        plain = str(list(default) if isinstance(default, tuple) else default)
        assert text == (plain.lower() if isinstance(default, bool) else plain), field


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_environment_variable_is_read_somewhere(page: Path) -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    sources += (ROOT / "tests/conftest.py").read_text("utf-8")
    known = {f"TAEL_{field.upper()}" for field in Settings.model_fields}
    named = set(re.findall(r"\bTAEL_[A-Z_]+\b", page.read_text("utf-8")))
    assert not [one for one in named - known if one not in sources]


def test_every_metric_exists_and_is_described() -> None:
    from prometheus_client import REGISTRY

    import tael.app  # noqa: F401

    there = {family.name for family in REGISTRY.collect() if family.name.startswith("tael_")}
    page = (ROOT / "docs/recipes/run-in-production.md").read_text("utf-8")
    described = {metric.removesuffix("_total") for metric in re.findall(r"^\| `(tael_\w+)`", page, re.MULTILINE)}
    assert described == there


@pytest.mark.parametrize("dotted", row((ROOT / "docs/glossary.md").read_text("utf-8"), 2))
def test_every_name_of_the_glossary_exists(dotted: str) -> None:
    if dotted == "Code":
        return
    parts = dotted.strip("`").split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            fields: Mapping[str, object] = getattr(found, "__annotations__", {})
            found = getattr(found, part) if hasattr(found, part) else fields[part]
        return
    pytest.fail(dotted)


def test_every_error_code_that_is_named_exists() -> None:
    import tael.cli.commands  # noqa: F401

    known = {code(error) for error in catalogue()}
    pattern = r"(?:is|as|are|get) (?:refused as )?(?:4\d\d )?`([a-z]+(?:_[a-z]+)+)`|\b[45]\d\d `([a-z]+(?:_[a-z]+)+)`"
    named = {
        one or other for page in PAGES for one, other in re.findall(pattern, " ".join(page.read_text("utf-8").split()))
    }
    assert {"idempotency_in_flight", "bad_credentials", "unknown_attempt"} <= named
    assert not named - known


def test_what_works_names_its_test() -> None:
    rows = [line.strip("|").split("|") for line in (ROOT / "docs/features.md").read_text("utf-8").splitlines()
            if re.match(r"\| [A-S]\d", line)]  # fmt: skip
    assert len(rows) > 100
    for number, feature, today, shown, _ in rows:
        assert today.strip() in {"works", "partly", "not yet"}, number
        assert today.strip() != "works" or "](../tests/test" in shown or "](../tests/" in shown, feature
    for page, column in ((ENGLISH, 1), (CHINESE, 1)):
        table = [line.strip("|").split("|") for line in page.read_text("utf-8").splitlines() if line.count("|") == 5]
        assert len(table) == 21
        assert not [cells[0] for cells in table[2:] if cells[column].strip() and "](tests/" not in cells[column + 1]]


def test_both_readmes_say_the_same() -> None:
    english, chinese = (page.read_text("utf-8") for page in (ENGLISH, CHINESE))
    assert [len(one) for one in re.findall(r"^(#+) ", without_code(english), re.M)] == [
        len(one) for one in re.findall(r"^(#+) ", without_code(chinese), re.M)
    ]
    assert set(links(ENGLISH)) - {CHINESE.name} == set(links(CHINESE)) - {ENGLISH.name}
    assert english.count("\n|") == chinese.count("\n|")
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert between(english, "demo output") == between(chinese, "demo output")
    assert between(english, "demo output").count("✓") > 10


def between(text: str, marker: str) -> str:
    return text.partition(f"<!-- {marker} -->")[2].partition(f"<!-- /{marker} -->")[0]


def blocks(page: Path, kind: str = "run") -> dict[str, str]:
    """The blocks of a page that are marked `<!-- run: name -->` (or file), by name."""
    return dict(re.findall(rf"<!-- {kind}: (\S+) -->\n```\w+\n(.*?)```", page.read_text("utf-8"), re.DOTALL))


@dataclass(slots=True)
class Reader:
    """Somebody who types the blocks of a page into one shell; variables and functions stay."""

    shell: asyncio.subprocess.Process

    async def goes_through(self, page: Path, *steps: str) -> str:
        """What these blocks of a page print, one after the other."""
        return "".join([await self.types(blocks(page)[step]) for step in steps])

    async def types(self, block: str) -> str:
        """What the block prints."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{block}\necho end-of-block $?\n".encode())
        await self.shell.stdin.drain()
        printed = (await self.shell.stdout.readuntil(b"end-of-block ")).decode()
        assert (await self.shell.stdout.readline()).strip() == b"0", printed
        return printed.removesuffix("end-of-block ")


@contextlib.asynccontextmanager
async def reading(shop: Shop, port: int, **more: str) -> AsyncIterator[Reader]:
    key = shop.http.headers["authorization"].removeprefix("Bearer ")
    environment = os.environ | {
        "TAEL": str(shop.http.base_url).rstrip("/"), "KEY": key, "PORT": str(port),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1",
    } | more  # fmt: skip
    shell = await asyncio.create_subprocess_exec(
        "bash", env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Reader(shell)
    finally:
        shell.kill()
        await shell.wait()


@contextlib.asynccontextmanager
async def receiver(folder: Path, *, secret: str, port: int) -> AsyncIterator[asyncio.StreamReader]:
    """The receiver of the recipe as its own program; answers what it prints."""
    (folder / "receiver.py").write_text(blocks(RECIPE, "file")["receiver.py"])
    program = await asyncio.create_subprocess_exec(
        sys.executable, folder / "receiver.py", env=os.environ | {"SECRET": secret, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        assert program.stdout is not None
        yield program.stdout
    finally:
        program.kill()
        await program.wait()


@pytest.fixture
def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


needs_shell = pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="no bash or no curl")


@needs_shell
async def test_take_a_recharge(dsn: str, tmp_path: Path, free_port: int) -> None:
    steps = blocks(RECIPE)
    assert list(steps) == ["helpers", "endpoint", "account", "recharge", "repeat", "paid", "events"]
    async with open_shop(dsn, tmp_path) as shop, reading(shop, free_port) as reader:
        for step in ("helpers", "endpoint", "account", "recharge"):
            await reader.types(steps[step])
        assert (await reader.types(steps["repeat"])).strip() == "same answer"
        secret = (await reader.types("echo $SECRET")).strip()
        async with receiver(tmp_path, secret=secret, port=free_port) as told:
            await shop.sim.pay((await reader.types('echo "$QR"')).strip())
            await shop.sim.drain()
            assert (await reader.types(steps["paid"])).split() == ["paid", "10000", "channel.receivable"]
            await shop.deliver()
            assert await shop.count("callback_delivery", "status = 'delivered'") == 1, "the receiver refused it"
            order_no = (await reader.types("echo $ORDER")).strip()
            assert (await told.readline()).decode().split() == ["recharge.paid", order_no, "10000"]
            assert (await reader.types(steps["events"])).strip() == "recharge.paid"
        again = await shop.recharge("1", description="x")  # a stranger's account is refused as the page says
        assert again.json()["code"] == "account_not_found"


async def bank(shop: Shop) -> str:
    """Connect the simulated 99bill; answers its merchant account."""
    member, id = shop.sim.bill99.merchant, shop.system.ids.next()
    row = AccountRow(
        book=BOOK, id=id, name="bank-a", channel="bill99", mode="test", state="active", mchid=member.member_code,
        appid="", base_url=member.base_url, config={}, qps={}, changed_at=shop.clock.now(),
        secret_refs={
            "member_key": f"file:{member.private_key_path}",
            "bill99_certificate": f"file:{member.bill99_certificate_path}",
        },
    )  # fmt: skip
    async with shop.db.transaction() as tx:
        await shop.system.platform.accounts.add(tx, row)
    await shop.system.platform.accounts.refresh(shop.db)
    return str(id)


async def person(shop: Shop, name: str) -> str:
    """A key of a person."""
    pepper, now = shop.system.key_ring.pepper, shop.clock.now()
    async with shop.db.transaction() as tx:
        return await keys.issue(tx, book=BOOK, mode="test", pepper=pepper, now=now, person=name)


async def top_up(shop: Shop) -> None:
    """Bring 100.00 to the account of owner 1001."""
    order = (await shop.recharge(await shop.account())).json()
    await shop.sim.pay(order["attempts"][0]["attempt_no"])
    await shop.sim.drain()


@needs_shell
async def test_withdraw_and_approve_by_a_route(dsn: str, tmp_path: Path, free_port: int) -> None:
    page, routes = RECIPES / "withdraw-and-approve.md", RECIPES / "route-payouts.md"
    assert list(blocks(page)) == ["helpers", "payee", "ask", "approve", "paid"]
    assert list(blocks(routes)) == ["route", "explain", "usage"]
    async with open_shop(dsn, tmp_path) as shop:
        wang, li, merchant = await person(shop, "wang"), await person(shop, "li"), await bank(shop)
        await top_up(shop)
        async with reading(shop, free_port, KEY=wang, LI=li, MERCHANT=merchant) as reader:
            said = await reader.goes_through(page, "helpers", "payee", "ask")
            assert said.split() == ["****5678", "reviewing", "5000"]
            said = await reader.goes_through(routes, "route", "explain")
            assert said.split() == ["10000", "chosen", "daily_limit"]
            assert (await reader.goes_through(page, "approve")).split() == ["self_approval", "approved"]
            await shop.system.payer.run_due()
            assert (await reader.goes_through(routes, "usage")).split() == ["5000"]
            await shop.advance(10)
            await shop.system.payer.run_due()
            assert (await reader.goes_through(page, "paid")).split() == ["paid", "0", "pass"]
        await shop.check_books()


@needs_shell
async def test_collect_and_refund(dsn: str, tmp_path: Path, free_port: int) -> None:
    page = RECIPES / "refund-and-collect.md"
    assert list(blocks(page)) == ["helpers", "collect", "made", "refund", "refunded", "too-much"]
    async with open_shop(dsn, tmp_path) as shop, reading(shop, free_port) as reader:
        await reader.goes_through(page, "helpers", "collect")
        await shop.sim.pay((await reader.types('echo "$QR"')).strip())
        await shop.sim.drain()
        assert (await reader.goes_through(page, "made")).split() == ["paid", "fulfilled"]
        assert (await reader.goes_through(page, "refund")).strip() == "paying"
        await shop.advance(10)
        await shop.send_refunds()
        assert (await reader.goes_through(page, "refunded")).split() == ["paid", "5000"]
        assert (await reader.goes_through(page, "too-much")).strip() == "refund_exceeds"
        await shop.check_books()


@needs_shell
async def test_transfer_and_adjust(dsn: str, tmp_path: Path, free_port: int) -> None:
    page = RECIPES / "transfer-and-adjust.md"
    assert list(blocks(page)) == ["transfer", "hold", "adjust", "lookup"]
    async with open_shop(dsn, tmp_path) as shop:
        wang, li = await person(shop, "wang"), await person(shop, "li")
        await top_up(shop)
        async with reading(shop, free_port, KEY=wang, LI=li) as reader:
            await reader.goes_through(RECIPES / "withdraw-and-approve.md", "helpers")
            assert (await reader.goes_through(page, "transfer")).split() == ["done"]
            assert (await reader.goes_through(page, "hold")).split() == ["done", "used", "6000"]
            assert (await reader.goes_through(page, "adjust")).split() == ["self_approval", "posted", "6500"]
            assert (await reader.goes_through(page, "lookup")).split() == ["adjustment"]


def test_the_rules_of_the_recipe_can_be_put_into_service() -> None:
    written = read_toml(blocks(RECIPES / "write-risk-rules.md", "file")["rules.toml"])
    assert (written.operation, problems_of(written.content)) == ("withdrawal", [])


@needs_shell
async def test_the_first_payment_of_the_readme(dsn: str, tmp_path: Path, free_port: int) -> None:
    async with open_shop(dsn, tmp_path) as shop, reading(shop, free_port) as reader:
        printed = await reader.types(blocks(ENGLISH)["first-payment"])
        assert re.search(r'"text":\s*"weixin://wxpay/', printed), printed
        assert '"state":"paying"' in printed


async def test_the_refusals_of_the_recipe(dsn: str, tmp_path: Path) -> None:
    async with open_shop(dsn, tmp_path) as shop:
        account = await shop.account()
        first = await shop.recharge(account, key="a", description="Tea", business_order_no="S-1")
        assert first.status_code == 201, first.text
        cases = [
            ("a", {"description": "Other", "business_order_no": "S-1"}, 422, "idempotency_key_reused"),
            ("b", {"description": "Other", "business_order_no": "S-1"}, 409, "duplicate_order"),
        ]
        for key, more, status, expected in cases:
            answer = await shop.recharge(account, key=key, **more)
            assert (answer.status_code, answer.json()["code"]) == (status, expected)
        twice = [await shop.recharge(account, key=key, description="Same") for key in ("c", "d")]
        assert [answer.status_code for answer in twice] == [201, 409]
        assert twice[1].json()["code"] == "duplicate_submission"
        replayed = await shop.recharge(account, key="c", description="Same")
        assert replayed.headers["idempotent-replayed"] == "true"
        assert replayed.content == twice[0].content
