"""The composition root: the only package that knows everybody, and the only one that reads the clock.

    settings -> database -> migrations -> clock, node number, keys -> parts -> routes + background work

`parts.py` puts the use cases together, `front.py` mounts their routes, `topics.py` says who hears of which event,
`chores.py` lists the periodic work, `system.py` starts and stops one process.
"""

from tael.app.front import UnguardedRoute, scopes_of
from tael.app.secret import master_key
from tael.app.system import SchemaOutdated, System, quieten_collector, running
from tael.app.topics import TOPICS

__all__ = [
    "TOPICS",
    "SchemaOutdated",
    "System",
    "UnguardedRoute",
    "master_key",
    "quieten_collector",
    "running",
    "scopes_of",
]
