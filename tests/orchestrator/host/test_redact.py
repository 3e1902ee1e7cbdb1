"""No spelling of a password gets through."""

import pytest

from orchestrator.host.redact import has_password, redact, shown


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("postgresql+psycopg://anna:s3cret@db/iwm", "postgresql+psycopg://anna:***@db/iwm"),
        ("postgresql://db/iwm?user=anna&password=s3cret", "postgresql://db/iwm?user=anna&password=***"),
        ("https://anna:s3%2Fcret@mlflow.example", "https://anna:***@mlflow.example"),
        ("postgresql://anna:s3@cret@db/iwm", "postgresql://anna:***@db/iwm"),
        ("http://[broken", "***"),
        ("sqlite:////data/iwm.db", "sqlite:////data/iwm.db"),
        ("http://anna@mlflow.example", "http://anna@mlflow.example"),
    ],
)
def test_a_url_is_shown_without_its_password(url, safe):
    assert shown(url) == safe
    assert has_password(url) == (safe != url)


def test_the_decoded_password_is_hidden_too():
    message = 'password authentication failed for "anna" with "p@ss/word"'
    assert "p@ss/word" not in redact(message, url="postgresql://anna:p%40ss%2Fword@db/iwm")
