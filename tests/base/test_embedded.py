"""The embedded PostgreSQL: private, unprivileged, there again after kill -9, shared by processes, in any home."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tael.base.embedded import EmbeddedPostgresFailed, Server, embedded, restart

SMALL = {"shared_buffers": "'16MB'", "max_wal_size": "'64MB'", "wal_buffers": "'1MB'"}
ROOT = os.geteuid() == 0
NOBODY = 65534
PATHS = os.pathsep.join(path for path in sys.path if path)
VISIT = """
import asyncio, asyncpg, json, os, sys
from pathlib import Path
from tael.base.embedded import embedded
async def ask(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("select count(*) from pg_class")
    finally:
        await connection.close()
with embedded(Path(sys.argv[1]), settings=json.loads(sys.argv[2])) as server:
    print(json.dumps({"owned": server.owned, "rows": asyncio.run(ask(server.dsn)), "uid": os.geteuid(),
                      "mode": server.data.stat().st_mode & 0o777, "owner": server.data.stat().st_uid}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user may pass through, whoever runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="tael-embedded-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def ask(server: Server, sql: str) -> object:
    """One value."""

    async def run() -> object:
        connection = await asyncpg.connect(server.dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def visit(
    home: Path, *, python: str = sys.executable, user: int | None = None, **environment: str
) -> dict[str, object]:
    """What another process sees that uses the same home, perhaps as another user."""
    done = subprocess.run(
        [python, "-c", VISIT, str(home), json.dumps(SMALL)], user=user, group=user, cwd="/", text=True,
        extra_groups=None if user is None else [], capture_output=True, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_only_its_owner_can_connect_and_commits_are_durable(folder: Path) -> None:
    with embedded(folder / "home") as server:
        assert server.data.stat().st_mode & 0o777 == 0o700
        assert (server.data / ".s.PGSQL.5432").exists()
        assert ask(server, "show listen_addresses") == ""
        durable = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
        assert [ask(server, f"show {name}") for name in durable] == ["on"] * 4
        assert (server.data / "pg_hba.conf").read_text() == "local all all peer map=tael\n"


@pytest.mark.skipif(not ROOT, reason="only root hands the server to somebody else")
def test_root_does_not_run_it(server: Server) -> None:
    assert os.stat(f"/proc/{server.pid}").st_uid != 0


def test_killed_shared_and_killed_again(folder: Path) -> None:
    home = folder / "home"
    with embedded(home, settings=SMALL) as server:
        ask(server, "create table kept (n int)")
        ask(server, "insert into kept values (1)")
        os.kill(server.pid, signal.SIGKILL)
        restart(server)
        assert ask(server, "select count(*) from kept") == 1
        pid = server.pid
        assert visit(home)["owned"] is False
        assert server.pid == pid, "a guest must not stop it"
        ask(server, "insert into kept values (2)")
        os.kill(pid, signal.SIGKILL)
    with embedded(home, settings=SMALL) as server:
        assert server.owned
        assert ask(server, "select count(*) from kept") == 2
    assert not (home / "pg18" / "postmaster.pid").exists(), "it is stopped with its owner"


def test_an_initdb_that_was_killed_is_done_again(folder: Path) -> None:
    leftover = folder / "home" / "pg18"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("x")
    with embedded(folder / "home", settings=SMALL) as server:
        assert ask(server, "select 1") == 1
    assert not (leftover / "half").exists()


def test_a_home_whose_path_is_too_long_for_a_socket(folder: Path) -> None:
    home = folder / ("long" * 25)
    with embedded(home, settings=SMALL) as server:
        assert ask(server, "select 1") == 1
        sockets = Path(str(ask(server, "show unix_socket_directories")))
        assert sockets != server.data
        assert sockets.stat().st_mode & 0o777 == 0o700
    sockets.rmdir()
    sockets.symlink_to(folder)
    try:
        with pytest.raises(EmbeddedPostgresFailed), embedded(home, settings=SMALL):
            pass
        assert folder.stat().st_uid == os.geteuid(), "a link that somebody planted must not be followed"
    finally:
        sockets.unlink()


@pytest.mark.skipif(not ROOT, reason="an ordinary user can pass through their own folders")
def test_a_home_below_a_closed_folder(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with embedded(closed / "home", settings=SMALL) as server:
        assert ask(server, "select 1") == 1
        elsewhere = Path((closed / "home" / "moved-to").read_text().strip())
        assert server.data.is_relative_to(elsewhere)
    assert closed.stat().st_mode & 0o777 == 0o700, "nobody's folder is opened for the server"
    shutil.rmtree(elsewhere)


def _python_of_nobody() -> str | None:
    """A Python 3.11 that an ordinary user may run, with what is installed here."""
    for python in (sys.executable, "/usr/bin/python3.11"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-c", "import tael.base.embedded, asyncpg"], user=NOBODY, group=NOBODY, extra_groups=[],
                cwd="/", capture_output=True, check=True, env={"PYTHONPATH": PATHS},
            )  # fmt: skip
            return python
    return None


@pytest.mark.skipif(not ROOT, reason="the other tests run as an ordinary user already")
@pytest.mark.parametrize("named", ["nobody", "root"], ids=["", "whatever the environment says"])
def test_an_ordinary_user_runs_it_as_themselves(folder: Path, named: str) -> None:
    python = _python_of_nobody()
    if python is None:
        pytest.skip("an ordinary user has no Python 3.11 here")
    home = folder / "theirs"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    seen = visit(home, python=python, user=NOBODY, PYTHONPATH=PATHS, LOGNAME=named, USER=named, HOME="/")
    assert (seen["owned"], seen["uid"], seen["owner"], seen["mode"]) == (True, NOBODY, NOBODY, 0o700)
