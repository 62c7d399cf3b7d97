"""A merchant's balance with the platform: what it starts with, and what is brought in or taken out at a bank."""

from tael_sandbox.happened import Happened


class Funded(Happened, frozen=True, tag="wechat.funded"):
    """Money came from outside, or went there when ``amount_minor`` is negative."""

    mchid: str
    at_ms: int
    amount_minor: int


def account(mchid: str) -> str:
    """The merchant's account in the sandbox's book."""
    return f"merchant/{mchid}"
