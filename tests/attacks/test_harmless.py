"""Text that attacks somebody else's program is only text here: kept letter by letter, shown escaped."""

import pytest

from flows.conftest import Shop
from tael.console.access import make_key

TEXTS = [
    ("V55 a quote", "Robert'); drop table payment_order;--"),
    ("V55 a union", "' union select digest from api_key --"),
    ("V55 a comment", "/* */ or 1=1 --"),
    ("V55 a placeholder", "$1 %s ? :name {0}"),
    ("V55 a backslash", "\\' or 1=1"),
    ("V56 a template", "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}"),
    ("V56 a script", "<script>alert(1)</script>"),
    ("V56 an attribute", '" onmouseover="alert(1)'),
    ("V57 a formula", "=cmd|' /C calc'!A0"),
    ("V57 a look-up", "${jndi:ldap://127.0.0.1:9/x}"),
    ("V57 a log line", "x\n2026-01-01 [info] paid"),
    ("V57 a path", "../../etc/passwd"),
    ("V57 a card number", "4111 1111 1111 1111"),
    ("V54 127 characters of four bytes", "𝔭" * 127),
    ("V54 emoji with joiners", "👩‍👩‍👧 family"),
    ("V54 Chinese", "充值一百元（测试）"),
    ("V54 a combining storm", "z" + "\u0301" * 60),
]


@pytest.mark.parametrize("text", [case[1] for case in TEXTS], ids=[case[0] for case in TEXTS])
async def test_kept_letter_by_letter(shop: Shop, text: str) -> None:
    account = await shop.account()
    answer = await shop.recharge(account, description=text, metadata={text[:40]: text})
    if answer.status_code == 422:  # the channel's own limit on the description's bytes
        assert answer.json()["param"] == "description"
        answer = await shop.recharge(account, metadata={text[:40]: text})
    assert answer.status_code == 201, answer.text
    kept = await shop.order(answer.json()["order_no"])
    assert kept["metadata"] == {text[:40]: text}
    assert kept["description"] in {text, answer.json()["description"]}
    assert await shop.count("payment_order") >= 1


async def test_the_console_shows_it_escaped(shop: Shop) -> None:
    account = await shop.account()
    await shop.recharge(account, description="<script>alert(1)</script>", business_order_no="x")
    key = make_key(shop.system.key_ring.pepper, now=shop.clock.now())
    page = await shop.http.get("/console", headers={"Cookie": f"tael_console={key}"})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


PROTOTYPES = [{"__proto__": "x"}, {"constructor": "x"}, {"": "x"}, {"a.b": "x"}, {"$ne": "x"}, {"'": '"'}]


@pytest.mark.parametrize("metadata", PROTOTYPES, ids=str)
async def test_names_in_metadata_are_only_names(shop: Shop, metadata: dict[str, str]) -> None:
    answer = await shop.recharge(await shop.account(), metadata=metadata)
    assert answer.status_code == 201, answer.text
    assert answer.json()["metadata"] == metadata
