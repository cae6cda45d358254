"""Masking what must not leave a task: secrets and personal data in log text.

Masking happens in the worker, before anything is returned: Slack, XCom, asset events and Airflow's own log see
only masked text. It errs on the side of masking too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from log_audit.errors import SettingsError

MASK = "***"

# Bounded on both sides, so that long words cost no more than short ones.
SENSITIVE = (
    r"[\w.-]{0,40}(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|authorization|credential|cookie|session[_-]?id|signature)[\w.-]{0,40}"
)
# name=value, name: value, "name": "value", and the last with its quotes escaped, as JSON inside JSON has them
NAMED = re.compile(
    rf"(?P<name>{SENSITIVE})(?P<mark>\\*[\"']?\s*[:=]\s*)"
    r"(?P<value>\\*\"[^\"\\]*(?:\\+.[^\"\\]*)*\"?|'[^']*'?|(?:Bearer|Basic|AWS4-HMAC-SHA256)\s+[^\r\n\"']+|[^\s,;&\"'}\])]+)",
    re.IGNORECASE,
)
ANYWHERE = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"),  # JSON web tokens
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),  # AWS key and principal ids
    re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{8,}"),  # Slack
    re.compile(r"\bgh[a-z]_[A-Za-z0-9]{20,}"),  # GitHub
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),  # user:password in a URL
    re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"),  # e-mail addresses
)
SENSITIVE_FIELD = re.compile(SENSITIVE, re.IGNORECASE)


class Redactor:
    """Masks texts and rows.

    :param patterns: more regular expressions to mask, from the settings
    :raises SettingsError: a pattern is no regular expression
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        try:
            self._more = tuple(re.compile(pattern) for pattern in patterns)
        except re.error as error:
            raise SettingsError(f"redaction.patterns: {error.pattern!r} is no regular expression: {error}") from None

    def text(self, text: str) -> str:
        """The text with every secret replaced by ``***``."""
        text = NAMED.sub(lambda match: f"{match['name']}{match['mark']}{MASK}", text)
        for pattern in (*ANYWHERE, *self._more):
            text = pattern.sub(MASK, text)
        return text

    def row(self, row: Mapping[str, str]) -> dict[str, str]:
        """A row of findings; a field that is named like a secret loses its value whole."""
        return {name: MASK if SENSITIVE_FIELD.fullmatch(name) else self.text(value) for name, value in row.items()}

    def value(self, value: Any) -> Any:
        """Any JSON value, masked through and through."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                name: MASK if isinstance(item, str) and SENSITIVE_FIELD.fullmatch(str(name)) else self.value(item)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value
