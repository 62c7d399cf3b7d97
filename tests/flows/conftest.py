"""The shop that flows are played in; see tests/shop.py."""

from shop import BOOK, MASTER_KEY, Shop, open_shop, prepare

__all__ = ["BOOK", "MASTER_KEY", "Shop", "open_shop", "prepare"]
