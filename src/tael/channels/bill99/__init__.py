"""99bill (快钱) payouts to a bank card. Knows its wire format and keys; knows no database, no order and no clock."""

from tael.channels.bill99.connector import Bill99

__all__ = ["Bill99"]
