"""Our pages behind MLflow's password: whoever MLflow does not know is answered as MLflow answers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

WHO_AM_I = "/api/2.0/mlflow/users/current"
TELLING = frozenset({b"authorization", b"cookie", b"host"})
"""Headers that say who asks, and of whom."""


class Guard:
    """Asks MLflow who somebody is before a page is shown."""

    def __init__(self, *, ours: ASGIApp, mlflow: ASGIApp) -> None:
        self._ours, self._mlflow = ours, mlflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        answer: list[Message] = []
        waiting: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def ask() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def hear(message: Message) -> None:
            answer.append(message)

        await self._mlflow(_who_am_i(scope), ask, hear)
        if answer and answer[0].get("status") == 200:
            return await self._ours(scope, receive, send)
        for message in answer:
            await send(message)


def _who_am_i(scope: Scope) -> Scope:
    headers = [(key, value) for key, value in scope.get("headers", []) if key in TELLING]
    asked = {"method": "GET", "path": WHO_AM_I, "raw_path": WHO_AM_I.encode(), "query_string": b"", "headers": headers}
    return {**scope, **asked, "state": {}}
