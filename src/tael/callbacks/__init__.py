"""Callbacks: businesses are told over HTTP what became true, at least once, signed, with retries, or can pull it.

Knows events, endpoints and receivers; knows nothing about orders or money.
"""

from tael.callbacks import routes
from tael.callbacks.callbacks import Callbacks
from tael.callbacks.courier import Courier
from tael.callbacks.deliveries import forget_old
from tael.callbacks.destination import Policy
from tael.callbacks.metrics import observe_outbox
from tael.callbacks.transport import Transport

__all__ = ["Callbacks", "Courier", "Policy", "Transport", "forget_old", "observe_outbox", "routes"]
