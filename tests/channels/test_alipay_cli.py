"""`tael channel add` and `check` for an Alipay account, against the simulator."""

import json
from pathlib import Path

import pytest

from tael.cli.channels import app
from tael_sandbox import Sandbox


async def run(*tokens: str) -> None:
    await app.run_async(list(tokens), result_action="return_value")


@pytest.mark.parametrize("mode", ["certificate", "public_key"])
async def test_add_and_check(
    mode: str, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    async with Sandbox.start(tmp_path / "sim") as sim:
        shop = sim.alipay.merchant
        places = {"app_private_key": shop.private_key_path}
        if mode == "certificate":
            places |= {
                "app_cert": shop.app_certificate_path,
                "alipay_cert": shop.alipay_certificate_path,
                "alipay_root_cert": shop.alipay_root_path,
            }
        else:
            places |= {"alipay_public_key": shop.alipay_public_key_path}
        secrets = [part for name, place in places.items() for part in (f"--secret.{name}", f"file:{place}")]
        await run(
            "add", "ali", "--channel", "alipay", "--mchid", shop.seller_id, "--appid", shop.app_id,
            "--base-url", sim.base_url, "--config.mode", mode, *secrets,
        )  # fmt: skip
        capsys.readouterr()
        if mode == "certificate":
            await run("check", "ali", "--json")
            assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"1/ali": "ok"}
        else:  # the simulated app is in certificate mode: it says so, and that proves nothing
            with pytest.raises(SystemExit):
                await run("check", "ali", "--json")
            assert "isv.missing-app-cert-sn" in capsys.readouterr().out
