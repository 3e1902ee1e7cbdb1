"""Passwords stay out of messages: of a database's URL and of MLflow's, wherever a driver repeats them. Pure."""

from urllib.parse import parse_qs, unquote, urlsplit

HIDDEN = "***"


def redact(text: str, *, url: str) -> str:
    """`text` without the password that `url` carries, as written or decoded, before the host or in the query."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def shown(url: str) -> str:
    """The URL as it may be printed."""
    return redact(url, url=url)


def has_password(url: str) -> bool:
    """Whether printing this URL would tell a secret."""
    return bool(_secrets(url))


def _secrets(url: str) -> set[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return {url}
    said = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return {spelling for secret in said if secret for spelling in (secret, unquote(secret))}
