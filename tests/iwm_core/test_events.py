"""Events as lines of JSON."""

import json
import math

import pytest

from iwm_core.events import KINDS, Evaluated, Finished, Started, Step, from_json, to_json


@pytest.mark.parametrize("kind", KINDS.values())
def test_there_and_back(kind):
    event = kind(t=12.5)
    assert from_json(to_json(event)) == event
    assert json.loads(to_json(event))["event"] == kind.name


def test_the_line_is_json_even_where_a_metric_is_not_a_number():
    line = to_json(Step(step=1, metrics={"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1}))
    assert json.loads(line, parse_constant=pytest.fail)["metrics"] == {"a": "nan", "b": "inf", "c": "-inf", "d": 0.1}
    back = from_json(line)
    assert isinstance(back, Step)
    assert math.isnan(back.metrics["a"])
    assert (back.metrics["b"], back.metrics["c"]) == (math.inf, -math.inf)


def test_floats_come_back_exactly():
    value = 0.1 + 0.2
    back = from_json(to_json(Finished(metrics={"mrr": value})))
    assert isinstance(back, Finished)
    assert back.metrics["mrr"] == value


def test_a_newer_writer_s_fields_are_ignored():
    back = from_json('{"t": 1, "event": "started", "attempt": 2, "mood": "good"}')
    assert back == Started(t=1, attempt=2)
    assert from_json('{"t": 1, "event": "danced"}') is None


@pytest.mark.parametrize("line", ["", "{", "3", "[]", '{"t": 1}', '{"t": 1, "event": "st'])
def test_what_is_no_event(line):
    with pytest.raises(ValueError):
        from_json(line)


def test_protocols_have_names():
    assert json.loads(to_json(Evaluated(protocol="mrr")))["protocol"] == "mrr"
