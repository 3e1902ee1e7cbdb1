"""Logs, read once or followed across attempts."""

from iwm_core.events import Finished, Preempted
from orchestrator.cli import following
from orchestrator.records.scan import read_status
from orchestrator.trial.launchers import FOREGROUND, LOCAL


def write(folder, name, text):
    folder.logs.mkdir(exist_ok=True)
    with (folder.logs / name).open("ab") as log:
        log.write(text.encode() if isinstance(text, str) else text)


def test_logs_of_every_attempt_oldest_first(on_disk):
    folder = on_disk.trial()
    on_disk.attempt(folder, [Finished()]).close()
    write(folder, "1_0_log.out", "first\n")
    write(folder, "2_0_log.out", "second\n")
    assert "".join(following.log_text(folder)) == "==> 1_0_log.out <==\nfirst\n==> 2_0_log.out <==\nsecond\n"


def test_following_goes_on_into_the_next_attempt_and_ends_with_the_trial(on_disk):
    folder = on_disk.trial()
    turns = iter(
        [
            lambda: write(folder, "1_0_log.out", "one\n"),
            lambda: write(folder, "1_0_log.out", "two\n"),
            lambda: on_disk.attempt(folder, [Preempted(step=1)]).close(),
            lambda: write(folder, "2_0_log.out", "three \u00e9".encode()[:-1]),
            lambda: (
                on_disk.attempt(folder, [Finished()]).close(),
                write(folder, "2_0_log.out", "\u00e9".encode()[-1:]),
            ),
            lambda: write(folder, "2_0_log.out", ", and the last words\n"),
            lambda: None,
        ]
    )

    def pause():
        next(turns)()

    text = "".join(following.log_text(folder, pause=pause))
    assert text == "==> 1_0_log.out <==\none\ntwo\n==> 2_0_log.out <==\nthree \u00e9, and the last words\n"
    assert not list(turns)


def test_what_iwm_train_left_behind_is_not_waited_for(on_disk):
    for seed, launcher in enumerate((LOCAL, FOREGROUND)):
        folder = on_disk.trial(seed, launcher=launcher)
        on_disk.attempt(folder, [Preempted(step=1)]).close()
        assert following.goes_on(read_status(folder)) is (launcher == LOCAL)
        on_disk.attempt(folder, [Finished()]).close()
        assert not following.goes_on(read_status(folder))


def test_links_among_the_logs_are_not_followed(on_disk, tmp_path):
    folder = on_disk.trial()
    write(folder, "1_0_log.out", "ours\n")
    (tmp_path / "secret").write_text("theirs\n")
    (folder.logs / "2_0_log.out").symlink_to(tmp_path / "secret")
    assert "theirs" not in "".join(following.log_text(folder))
