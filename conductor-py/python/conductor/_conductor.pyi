from datetime import timedelta
from typing import Final

__all__ = ["KINDS", "__version__", "check_id", "parse_duration"]

__version__: Final[str]

KINDS: Final[tuple[tuple[str, str, str, int, bool], ...]]

def check_id(noun: str, id: str) -> None: ...
def parse_duration(text: str) -> timedelta: ...
