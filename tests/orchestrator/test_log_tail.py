from pathlib import Path

from orchestrator.layout import TrialFolder
from orchestrator.log_tail import log_tails, plain_files


def test_the_newest_logs_end_as_they_stood(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "1.err").write_text("".join(f"line {at}\n" for at in range(100)))
    (logs / "1.out").touch()
    (logs / "3_result.pkl").write_bytes(b"\0 of submitit, and newer")
    (logs / "2.err").write_text("step 1\rstep 2\rstep 3\nend\n")
    (newest, text), (older, more) = log_tails(TrialFolder(tmp_path), lines=5)
    assert (newest, text) == ("2.err", "step 3\nend")
    assert (older, more) == ("1.err", "\n".join(f"line {at}" for at in range(95, 100)))
    assert log_tails(TrialFolder(tmp_path / "nowhere")) == ()


def test_links_are_not_followed(tmp_path):
    folder = tmp_path / "trial" / "logs"
    folder.mkdir(parents=True)
    (folder / "real").write_text("x")
    (folder / "link").symlink_to("/etc/passwd")
    assert plain_files(folder) == [folder / "real"]
    (tmp_path / "trial" / "pictures").symlink_to(folder)
    (tmp_path / "other").symlink_to(tmp_path / "trial")
    assert plain_files(tmp_path / "trial" / "pictures") == plain_files(tmp_path / "other" / "logs") == []


def test_a_log_that_cannot_be_read_is_left_out(on_disk, monkeypatch):
    folder = on_disk.trial()
    folder.logs.mkdir()
    for name in ("1.out", "2.out"):
        (folder.logs / name).write_text(f"{name}\n")

    def refuses(file, *words, **more):
        if file.name == "2.out":
            raise PermissionError(13, "Permission denied")
        return opened(file, *words, **more)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refuses)
    assert log_tails(folder) == (("1.out", "1.out"),)
