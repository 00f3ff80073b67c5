"""Commands in this process, and what each of them must keep to, whatever it is given."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner

from cli.main import cli
from tests.fuzz.harness import BrokenRuleError, Outcome, strict_json

STATUSES = (0, 1, 2)


def run(outcome: Outcome, *words: str) -> dict[str, Any]:
    """One command in this process. What it prints must be one JSON object, or nothing beside an error."""
    result = CliRunner().invoke(cli, words)
    outcome.said += (result.stdout, result.stderr)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code not in STATUSES:
        raise BrokenRuleError(f"exit status: {result.exit_code}")
    if "Traceback" in result.stderr:
        raise BrokenRuleError(f"traceback printed: {result.stderr[-2000:]}")
    printed = strict_json(result.stdout) if result.stdout.strip() else {}
    if not isinstance(printed, dict):
        raise BrokenRuleError(f"--json: printed {result.stdout[:200]}")
    if result.exit_code and not result.stderr.strip() and not printed:
        raise BrokenRuleError(f"silent: exit status {result.exit_code} without a word")
    return printed
