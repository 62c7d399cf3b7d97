"""Where secrets come from: a file or an environment variable, named in the database, read when an account is loaded.

file:/run/secrets/apiv3_key      env:WECHAT_APIV3_KEY
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tael.channels.contract import BadCredentials, ConnectorSpec

_LIMIT = 64 * 1024
_FORM = re.compile(r"file:/[^\x00-\x1f]{1,400}|env:[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_references(references: Mapping[str, str], spec: ConnectorSpec) -> None:
    """Raise `BadCredentials` unless exactly the channel's secrets are named, each as a reference."""
    for name in sorted(spec.secrets - references.keys()):
        raise BadCredentials(f"{name} is missing", param=name)
    for name in sorted(references.keys() - spec.secrets - spec.secrets_optional):
        raise BadCredentials(f"{name} is not a secret of {spec.name}", param=name)
    for name, reference in references.items():
        if not _FORM.fullmatch(reference):
            # The value is not quoted: somebody may have pasted the secret itself.
            raise BadCredentials(f"{name} must be file:/path or env:NAME", param=name)


def read_secrets(references: Mapping[str, str], spec: ConnectorSpec) -> dict[str, bytes]:
    """Read every secret. Raises `BadCredentials` for what is missing, empty, unreadable or too large."""
    check_references(references, spec)
    return {name: _read(name, reference) for name, reference in references.items()}


def _read(name: str, reference: str) -> bytes:
    kind, _, place = reference.partition(":")
    if kind == "env":
        content = os.environ.get(place, "").encode()
    else:
        try:
            with Path(place).open("rb") as file:
                content = file.read(_LIMIT + 1)
        except OSError as problem:
            raise BadCredentials(f"{name} cannot be read: {type(problem).__name__}", param=name) from problem
    if not content.strip():
        raise BadCredentials(f"{name} is empty", param=name)
    if len(content) > _LIMIT:
        raise BadCredentials(f"{name} is too large", param=name)
    return content
