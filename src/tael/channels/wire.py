"""The wire under its channel name: calls to channels use it as it is, with its usual limits."""

from tael.base.wire import NothingSent, ReplyLost, Wire, WireError, address

__all__ = ["NothingSent", "ReplyLost", "Wire", "WireError", "address"]
