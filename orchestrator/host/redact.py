"""Remove passwords of database and MLflow URLs from messages, in which drivers repeat them. Pure."""

from urllib.parse import parse_qs, unquote, urlsplit

HIDDEN = "***"


def redact(text: str, *, url: str) -> str:
    """`text` without the password of `url` (before the host or in the query), as written or decoded."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def shown(url: str) -> str:
    """The URL without its password."""
    return redact(url, url=url)


def has_password(url: str) -> bool:
    """Return True if the URL contains a password."""
    return bool(_secrets(url))


def _secrets(url: str) -> set[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return {url}
    said = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return {spelling for secret in said if secret for spelling in (secret, unquote(secret))}
