"""What schemathesis makes of the API's own description: thousands of requests, right and wrong, and no 5xx.

It also holds the answers to the description: status codes, media types, schemas, methods, keys.
"""

import asyncio
import re
import sys
from pathlib import Path

from attacks.arena import Arena, open_arena

EXAMPLES = 12
# A value may fit its schema and still be refused: an account that is not there, a currency the channel does not take.
EXCLUDED = "positive_data_acceptance"


async def test_random_requests_find_no_server_error_and_no_undocumented_answer(dsn: str, tmp_path: Path) -> None:
    async with open_arena(dsn, tmp_path) as arena:
        status, report = await _schemathesis(arena, tmp_path)
        assert status == 0, report[-8000:]
        made = re.search(r"(\d+) generated", report)
        assert made is not None, report[-2000:]
        assert int(made[1]) > 500


async def _schemathesis(arena: Arena, folder: Path) -> tuple[int, str]:
    """Exit code and report of a run against the arena's server, which answers meanwhile on this event loop."""
    base = str(arena.shop.http.base_url).rstrip("/")
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{base}/openapi.json",
        "--header", f"Authorization: Bearer {arena.keys['full']}", "--checks", "all", "--exclude-checks", EXCLUDED,
        "--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure", "--no-color",
        "--generation-database", "none",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    report, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, report.decode("utf-8", "replace")
