"""The one error that a user's input causes: which field, which value, what would be right."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input. The command line prints it on one line and exits with code 2.

    >>> print(UserError("board", "ZCU999", "unknown; known boards: KV260, ZCU104"))
    board = 'ZCU999': unknown; known boards: KV260, ZCU104
    """

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field, self.value, self.rule = field, value, rule

    def __str__(self) -> str:
        return f"{self.field} = {self.value!r}: {self.rule}"
