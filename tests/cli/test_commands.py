"""The command line as an operator uses it, as real processes on a database of their own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tael.base.db import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(dsn: str, tmp_path: Path) -> dict[str, str]:
    return os.environ | {"TAEL_DATABASE_URL": dsn, "TAEL_HOME": str(tmp_path / "home"), "TAEL_PORT": "0"}


def tael(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tael.cli import main; main()", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


def runs(pid: int) -> bool:
    """Whether a process does anything any more; what only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def up(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", "from tael.cli import main; main()", "up", "--workers", "2"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    url = process.stdout.readline().rsplit(" ", 1)[1].strip()
    yield process, url
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait()
    process.stdout.close()


def test_a_key_from_the_command_line_opens_the_api(
    up: tuple[subprocess.Popen[str], str], environment: dict[str, str]
) -> None:
    _, url = up
    with httpx2.Client(base_url=url, trust_env=False, transport=httpx2.HTTPTransport(retries=5), timeout=60) as http:
        while http.get("/readyz").status_code != 200:
            continue
        made = tael("key", "create", "--company", "ACME", environment=environment)
        key = made.stdout.strip()
        assert re.fullmatch(r"tael_test_sk_[0-9a-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", key), made.stderr
        answer = http.get("/v1/recharges", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["data"]) == (200, [])
        (shown,) = json.loads(tael("key", "list", "--json", environment=environment).stdout)
        assert shown["last4"] == key[-4:]
        assert key[20:60] not in str(shown)
        assert tael("key", "revoke", shown["id"], environment=environment).returncode == 0
        assert tael("key", "revoke", "nobody00", environment=environment).returncode == 1


def test_sigterm_ends_every_process(up: tuple[subprocess.Popen[str], str]) -> None:
    process, url = up
    with httpx2.Client(base_url=url, trust_env=False, timeout=60) as http:
        assert http.get("/healthz").status_code == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_dead_worker_is_replaced(up: tuple[subprocess.Popen[str], str]) -> None:
    process, url = up
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with httpx2.Client(base_url=url, trust_env=False, transport=httpx2.HTTPTransport(retries=5), timeout=60) as http:
        while http.get("/healthz").status_code != 200:
            continue
    before = children.read_text().split()
    os.kill(int(before[0]), signal.SIGKILL)
    while len(after := children.read_text().split()) < 2 or before[0] in after:
        continue
    assert before[1] in after


def test_the_doctor_says_what_is_wrong_and_migrate_mends_it(environment: dict[str, str], dsn: str) -> None:
    checks = json.loads(tael("doctor", "--json", environment=environment).stdout)
    assert {check["name"]: check["state"] for check in checks}["schema"] == "ok"
    assert tael("migrate", environment=environment).stdout.strip() == "nothing to do"
    unsafe = environment | {"TAEL_MODE": "live"}
    wrong = tael("doctor", "--json", environment=unsafe)
    assert wrong.returncode == 1
    detail = {check["name"]: check["detail"] for check in json.loads(wrong.stdout)}["settings"]
    assert all(name in detail for name in ("TAEL_MASTER_KEY", "TAEL_PUBLIC_URL", "TAEL_ALLOW_LOOPBACK"))
    refused = tael("up", environment=unsafe)
    assert refused.returncode == 1
    assert "unsafe_settings" in refused.stderr


def test_the_console_link_and_the_documents(environment: dict[str, str]) -> None:
    link = json.loads(tael("console", "--json", environment=environment).stdout)["url"]
    assert re.search(r"/console\?key=\d+\.-\.[0-9a-f]{64}$", link)
    assert tael("errors", environment=environment).stdout == (ROOT / "docs" / "errors.md").read_text("utf-8")
    document = tael("openapi", environment=environment).stdout
    assert document == (ROOT / "docs" / "openapi.json").read_text("utf-8")


def test_sigterm_gives_the_node_back_and_ends_the_embedded_postgres(environment: dict[str, str]) -> None:
    home = Path(tempfile.mkdtemp(prefix="tael-cli-"))
    home.chmod(0o711)
    alone = {name: value for name, value in environment.items() if name != "TAEL_DATABASE_URL"} | {
        "TAEL_HOME": str(home)
    }
    command = [sys.executable, "-c", "from tael.cli import main; main()", "up"]
    with subprocess.Popen(command, env=alone, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().rsplit(" ", 1)[1].strip()
        with httpx2.Client(
            base_url=url, trust_env=False, transport=httpx2.HTTPTransport(retries=5), timeout=60
        ) as http:
            while http.get("/readyz").status_code != 200:
                continue
        postmaster = int((home / "pg18" / "postmaster.pid").read_text().split("\n", 1)[0])
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert not runs(postmaster)
    shutil.rmtree(home)


async def test_a_dead_letter_is_shown_and_revived(environment: dict[str, str], db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            """insert into task (book, id, queue, key, payload, due_at, attempt, dead_at, last_error, created_at)
               values (1, 1, 'recover', 'RC1', 'null', now(), 9, now(), 'still unknown', now())"""
        )
    (letter,) = [json.loads(line) for line in tael("tasks", "dead", environment=environment).stdout.splitlines()]
    assert (letter["key"], letter["error"]) == ("RC1", "still unknown")
    assert tael("tasks", "revive", "RC1", environment=environment).returncode == 0
    assert tael("tasks", "revive", "RC1", environment=environment).returncode == 1
    async with db.transaction() as tx:
        assert await tx.fetchval("select dead_at is null and attempt = 0 and due_at <= now() from task")
