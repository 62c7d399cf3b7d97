"""`tael channel ...` against a real database and a platform on loopback."""

import asyncio
import json
from pathlib import Path

import pytest

from channels.otherside import APIV3, APPID, MCHID, MERCHANT_SERIAL, PUBLIC_KEY_ID, scripted, secrets
from tael.channels.accounts import MerchantAccountExists
from tael.cli.channels import app


@pytest.fixture
def tokens(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a good `add`, with the secrets in place."""
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    for name, content in secrets().items():
        (tmp_path / name).write_bytes(content)
    return [
        "add", "shop", "--mchid", MCHID, "--appid", APPID, "--base-url", "http://127.0.0.1:9",
        "--config.serial_no", MERCHANT_SERIAL, "--config.public_key_id", PUBLIC_KEY_ID, "--qps.create", "200",
        *[part for name in secrets() for part in (f"--secret.{name}", f"file:{tmp_path / name}")],
    ]  # fmt: skip


async def run(tokens: list[str]) -> None:
    await app.run_async(tokens, result_action="return_value")


async def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    await run(["list", "--json"])
    return json.loads(capsys.readouterr().out)


async def test_add_list_pause(tokens: list[str], capsys: pytest.CaptureFixture[str]):
    await run(tokens)
    (row,) = await listed(capsys)
    assert (row["name"], row["mchid"], row["qps"], row["state"]) == ("shop", MCHID, {"create": 200}, "active")
    assert row["config"] == {"serial_no": MERCHANT_SERIAL, "public_key_id": PUBLIC_KEY_ID}
    assert APIV3 not in str(row)
    with pytest.raises(MerchantAccountExists):
        await run(tokens)
    await run(["pause", "shop"])
    assert (await listed(capsys))[0]["state"] == "paused"
    await run(["activate", "shop"])
    assert (await listed(capsys))[0]["state"] == "active"
    await run(["list"])
    assert "shop" in capsys.readouterr().out


async def test_check(tokens: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n")

    async with scripted(answer) as server:
        await run([server.base_url if token == "http://127.0.0.1:9" else token for token in tokens])
        capsys.readouterr()
        await run(["check", "--ask", "nobody"])
        assert "✓ 1/shop: ok" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            await run(["check"])
        assert "✗ 1/shop: unknown: http_502" in capsys.readouterr().out
        (tmp_path / "apiv3_key").write_text("short")
        with pytest.raises(SystemExit):
            await run(["check", "shop", "--ask", "nobody", "--json"])
        assert "bad_credentials: apiv3_key must be exactly 32" in json.loads(capsys.readouterr().out)["1/shop"]
        with pytest.raises(SystemExit):
            await run(["check", "nobody"])
