"""Which part of the server answers which address."""

import asyncio

import pytest

from dashboards.pages.server import Switch, is_refused


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/ajax-api/3.0/mlflow/assistant/config", True),
        ("/gateway/mlflow/v1/chat", True),
        ("//Gateway/x", True),
        ("/ajax-api/2.0/mlflow/gateway-proxy", True),
        ("/api/2.0/mlflow/runs/search", False),
        ("/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/gateway/x", False),
        ("/", False),
    ],
)
def test_shells_and_keys_are_not_served(path, refused):
    assert is_refused(path) is refused


@pytest.mark.parametrize(
    ("path", "who"),
    [("/iwm", "ours"), ("/iwm/sweeps/x", "ours"), ("/iwmx", "mlflow"), ("/health", "mlflow"), ("/gateway/x", "nobody")],
)
def test_each_address_goes_to_its_own(path, who):
    asked, sent = [], []

    def application(name):
        async def answer(scope, receive, send):
            asked.append(name)
            await send({"type": "http.response.start", "status": 200, "headers": []})

        return answer

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    switch = Switch(ours=application("ours"), mlflow=application("mlflow"))
    asyncio.run(switch({"type": "http", "path": path, "method": "GET", "headers": []}, receive, send))
    assert asked == ([] if who == "nobody" else [who])
    assert sent[0]["status"] == (404 if who == "nobody" else 200)
    assert any(key == b"content-security-policy" for key, _ in sent[0]["headers"]) is (who == "ours")
