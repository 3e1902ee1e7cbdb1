"""What is refused before anything starts; the rest is in tests/e2e/test_serve.py."""

import json
import socket

import pytest

from orchestrator.errors import BusyError, RequestError
from orchestrator.host.locks import holding
from orchestrator.serving.serve import serve


def never(url, pages):
    raise AssertionError(url, pages)


def test_a_root_is_served_once(on_disk):
    layout = on_disk.layout
    with holding(layout.serve_lock):
        with pytest.raises(BusyError, match=r"is served already$"):
            serve(layout, announce=never)
        layout.serve_lock.write_text(json.dumps({"pid": 17, "url": "http://127.0.0.1:5000"}))
        with pytest.raises(BusyError, match=r"is served already by process 17: http://127.0.0.1:5000$"):
            serve(layout, announce=never)


def test_nobody_else_may_come(on_disk):
    with pytest.raises(RequestError, match="so it needs a password"):
        serve(on_disk.layout, host="0.0.0.0", announce=never)
    assert not on_disk.layout.root.exists()


def test_a_taken_port_is_said_at_once(on_disk):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(RequestError, match="is taken"):
            serve(on_disk.layout, port=listener.getsockname()[1], announce=never)
