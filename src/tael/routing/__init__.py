"""Routing (额度路由): through which merchant account an operation goes, by priority and what is left of its quota.

Knows a merchant account as a number, a channel's name and a label; knows no order, no payout and no channel.
"""

from tael.routing import routes
from tael.routing.choice import Considered, Verdict, Wanted
from tael.routing.ending import bind, expire_unused, give_back, release, settle
from tael.routing.figures import Drift, Usage, set_used, usage
from tael.routing.reservation import NoRoute, QuotaContended, Reserved, explain, reserve
from tael.routing.store import Operation, Route, RouteState, Window
from tael.routing.upkeep import InvalidRoute, RouteNotFound, cool, list_routes, put_route, set_state

__all__ = [
    "Considered",
    "Drift",
    "InvalidRoute",
    "NoRoute",
    "Operation",
    "QuotaContended",
    "Reserved",
    "Route",
    "RouteNotFound",
    "RouteState",
    "Usage",
    "Verdict",
    "Wanted",
    "Window",
    "bind",
    "cool",
    "expire_unused",
    "explain",
    "give_back",
    "list_routes",
    "put_route",
    "release",
    "reserve",
    "routes",
    "set_state",
    "set_used",
    "settle",
    "usage",
]
