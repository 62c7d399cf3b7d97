"""The shop that flows are played in; see tests/shop.py."""

from shop import BOOK, MASTER_KEY, TOPICS, Shop, open_shop, prepare

__all__ = ["BOOK", "MASTER_KEY", "TOPICS", "Shop", "open_shop", "prepare"]
