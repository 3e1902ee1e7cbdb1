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
    layout, note = on_disk.layout, {"pid": 17, "url": "http://127.0.0.1:5000"}
    with holding(layout.serve_lock):
        for content in ({}, note):
            layout.serve_lock.write_text(json.dumps(content))
            with pytest.raises(BusyError) as refused:
                serve(layout, announce=never)
            assert (refused.value.path, refused.value.value) == (layout.root, content.get("pid"))
        assert note["url"] in str(refused.value)


def test_others_are_refused_before_the_root_is_made(on_disk):
    with pytest.raises(RequestError) as refused:
        serve(on_disk.layout, host="0.0.0.0", announce=never)
    assert refused.value.setting == "host"
    assert not on_disk.layout.root.exists()


def test_a_taken_port_is_refused_at_once(on_disk):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(RequestError) as refused:
            serve(on_disk.layout, port=listener.getsockname()[1], announce=never)
    assert refused.value.setting == "port"
