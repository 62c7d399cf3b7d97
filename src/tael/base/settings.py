"""Settings of one process, from the environment (`TAEL_...`) or a `.env` file. The prefix of a key says its use.

Live mode refuses to start with what is only fit for trials: a generated or short master key, plain http, loopback
callback receivers, or a database that may forget what it has acknowledged.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tael.base.db import Database
from tael.base.errors import TaelError


class UnsafeSettings(TaelError):
    """The settings are not safe for live mode.
    zh: 当前设置不满足正式环境的安全要求。
    """

    status = 500


class Settings(BaseSettings):
    """Everything a process can be told. Durations are in whole seconds, amounts in minor units."""

    model_config = SettingsConfigDict(env_prefix="TAEL_", env_file=".env", extra="ignore", frozen=True)

    mode: Literal["test", "live"] = "test"
    home: Path = Path(".tael")
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=0, le=65535)
    public_url: str = ""
    """Where channels reach this process for notices, such as https://pay.example.com; empty: host and port."""
    master_key: SecretStr = SecretStr("")
    """At least 32 random characters; webhook secrets and key digests derive from it. Empty in test mode: a key is
    generated once and kept in `home`."""
    allow_loopback: bool = True
    """Test mode only: callbacks and channels on this machine."""
    order_lifetime_s: int = Field(default=900, ge=60, le=7 * 86400)
    """How long an order can be paid before it is closed, at the channel first."""
    submission_guard_s: int = Field(default=10, ge=0, le=86400)
    """How long an identical submission is refused as a duplicate; 0 switches the guard off."""
    recovery_ladder_s: tuple[int, ...] = (10, 20, 30, 60, 120, 300, 600, 1800, 3600)
    """Seconds before the first query about an attempt, then between queries; the last pause repeats."""
    metrics_token: SecretStr = SecretStr("")
    """Live mode: /metrics needs this as bearer token; empty hides it."""
    database_pool: int = Field(default=20, ge=2, le=200)

    def recovery_pause(self, asked: int) -> timedelta:
        """How long to wait after the `asked`-th question about something unknown, from 0."""
        return timedelta(seconds=self.recovery_ladder_s[min(asked, len(self.recovery_ladder_s) - 1)])

    def notice_url(self, channel: str, account: int) -> str:
        """The address a channel sends notices of a merchant account to."""
        base = self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"
        return f"{base}/v1/notices/{channel}/{account}"


async def refuse_unsafe(settings: Settings, db: Database) -> None:
    """Raise `UnsafeSettings` when live mode would run on what is only fit for trials."""
    if settings.mode != "live":
        return
    async with db.transaction() as tx:
        durability = {
            name: await tx.fetchval("select current_setting($1)", name)
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        }
    problems = [f"{name} is off" for name, value in durability.items() if value == "off"]
    if len(settings.master_key.get_secret_value()) < 32:
        problems.append("TAEL_MASTER_KEY has fewer than 32 characters")
    if not settings.public_url.startswith("https://"):
        problems.append("TAEL_PUBLIC_URL is not https")
    if settings.allow_loopback:
        problems.append("TAEL_ALLOW_LOOPBACK is on")
    if problems:
        raise UnsafeSettings("; ".join(problems))
