import logging

import pytest

from iwm_core.training.alarms import STARVING_READINGS, Alarms

HEALTHY = {"target_std": 0.5, "data_wait_share": 0.1}


def readings(alarms, values):
    return [alarms.heed({**HEALTHY, **value}, step=step) for step, value in enumerate(values, start=1)]


def test_a_healthy_run_is_quiet(caplog):
    with caplog.at_level(logging.WARNING):
        assert readings(Alarms(), [{}] * 4) == [{"collapse_alarm": 0.0, "starving_alarm": 0.0}] * 4
    assert not caplog.messages


def test_a_collapse_is_said_once_and_shown_as_long_as_it_lasts(caplog):
    with caplog.at_level(logging.WARNING):
        found = readings(Alarms(), [{"target_std": 0.01}] * 2 + [{}])
    assert [alarm["collapse_alarm"] for alarm in found] == [1.0, 1.0, 0.0]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("step 1: targets collapse")


@pytest.mark.parametrize(("workers", "better"), [(0, 2), (4, 8)])
def test_a_loader_that_starves_training_for_long_is_named_once_with_what_to_try(caplog, workers, better):
    slow = {"data_wait_share": 0.6}
    with caplog.at_level(logging.WARNING):
        found = readings(Alarms(loader_workers=workers), [slow, {}, *[slow] * (STARVING_READINGS + 1)])
    assert [alarm["starving_alarm"] for alarm in found] == [0.0] * 4 + [1.0] * 2
    assert len(caplog.messages) == 1
    assert "60%" in caplog.messages[0]
    assert f"try resources.loader_workers={better} (it is {workers})" in caplog.messages[0]
