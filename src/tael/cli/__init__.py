"""The command line: `tael up | demo | migrate | doctor | key | channel | callbacks | ledger | faults | bench ...`."""

__all__ = ["main"]


def main() -> None:
    """Run a command; a refusal ends with its message and exit code 1."""
    from tael.cli.commands import run

    run()
