"""What a person typed, and what is said back: on one line, as long as one reads, without what a terminal obeys."""

from collections.abc import Iterable

from orchestrator.errors import RequestError

WORD_MAX = 100_000
"""Characters of one argument; Linux itself takes no more than 131,071 bytes."""
MESSAGE_MAX = 2_000


def check(words: Iterable[str]) -> None:
    """Refuses what no verb has a use for, before any verb sees it.

    Raises:
        RequestError: an argument that is empty, or longer than anybody types.
    """
    for place, word in enumerate(words, start=1):
        if not word.strip():
            raise RequestError(f"argument {place} is empty")
        if word.startswith("--") and word.endswith("=") and word.count("=") == 1:
            raise RequestError(f"the option {word[:-1]} has no value")
        if len(word) > WORD_MAX:
            raise RequestError(f"argument {place} has {len(word):,} characters; at most {WORD_MAX:,} are read")


def plain(text: str) -> str:
    """A message on one line; what is not printable as an escape, of a long one the beginning and the end."""
    line = " ".join(text.split("\n"))
    if len(line) > MESSAGE_MAX:
        line = f"{line[: MESSAGE_MAX // 2]} [...] {line[-MESSAGE_MAX // 2 :]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
