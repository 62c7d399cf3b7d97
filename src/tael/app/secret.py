"""The master key, from which everything secret derives."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from tael.base.settings import Settings


def master_key(settings: Settings) -> bytes:
    """The key everything secret derives from: the setting, or in test mode one that is made and kept in `home`."""
    given = settings.master_key.get_secret_value()
    if given:
        return given.encode()
    return _kept_key(settings.home / "master.key")


def _kept_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path.read_bytes()
