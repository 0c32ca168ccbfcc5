"""The one error a user of the checker sees."""

from __future__ import annotations


class LintError(Exception):
    """The check could not run; the message is one sentence that says why and what to do."""
