from orchestrator.pictures import pictures


def test_pictures_are_found_by_name_and_links_are_not(on_disk, tmp_path):
    folder = on_disk.trial()
    assert pictures(folder) == {}
    folder.pictures.mkdir()
    for name in ("b.png", "a.png", ".hidden.png", "notes.txt"):
        (folder.pictures / name).write_bytes(b"")
    (folder.pictures / "c.png").symlink_to(tmp_path)
    assert list(pictures(folder).items()) == [(name, folder.pictures / name) for name in ("a.png", "b.png")]
