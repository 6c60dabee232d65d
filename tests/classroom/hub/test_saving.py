"""classroom.hub.saving: files as Jupyter saves them; with no space left the old text stays (see tests/hub too)."""

import asyncio
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from jupyter_server.services.contents.handlers import validate_model
from tornado.web import HTTPError

from classroom.hub import saving


@pytest.fixture
def manager(tmp_path):
    return saving.CarefulManager(root_dir=str(tmp_path))


def save(manager, name: str, text: str) -> None:
    run(manager.save, {"type": "file", "format": "text", "content": text}, name)


def get(manager, name: str, **how: bool) -> dict:
    return run(manager.get, name, **how)


def run(what, *words, **how):
    with ThreadPoolExecutor(1) as own:  # Playwright leaves its event loop in the thread of the tests
        return own.submit(lambda: asyncio.run(what(*words, **how))).result()


def test_a_file_is_new_or_replaced_and_keeps_its_mode(manager, tmp_path):
    save(manager, "new.txt", "one\ntwo\n")
    assert (tmp_path / "new.txt").read_bytes() == b"one\ntwo\n"
    (tmp_path / "new.txt").chmod(0o640)
    save(manager, "new.txt", "three")
    assert (tmp_path / "new.txt").read_text() == "three"
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["new.txt"]


def test_a_link_stays_one(manager, tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    save(manager, "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_without_space_the_old_text_stays_and_the_message_says_what_to_do(manager, tmp_path, monkeypatch, number):
    save(manager, "work.txt", "old")

    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(saving.os, "fsync", full)
    with pytest.raises(HTTPError) as error:
        save(manager, "work.txt", "new")
    assert error.value.status_code == 507
    assert "work.txt was not saved: " in error.value.log_message
    assert "remove something that you don't need" in error.value.log_message
    assert (tmp_path / "work.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["work.txt"]


def test_a_page_without_space_is_shown_from_memory_until_there_is_some(manager, tmp_path):
    assert manager.keep("Welcome.md", "# now") is True
    assert manager.keep("Welcome.md", "# now") is False
    for content in (True, False):
        model = get(manager, "/Welcome.md", content=content)
        validate_model(model, expect_content=content, expect_hash=True)
        assert model["content"] == ("# now" if content else None)
    since = model["last_modified"]
    assert manager.keep("Welcome.md", "# later") is True
    assert get(manager, "Welcome.md")["last_modified"] > since
    save(manager, "Welcome.md", "# from the disk")
    assert get(manager, "Welcome.md")["content"] == "# later"
    assert (manager.keep("Welcome.md", None), manager.keep("Welcome.md", None)) == (True, False)
    assert get(manager, "Welcome.md")["content"] == "# from the disk"
    assert os.listdir(tmp_path) == ["Welcome.md"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_may_not_be_written_is_refused_as_before(manager, tmp_path):
    save(manager, "locked.txt", "old")
    (tmp_path / "locked.txt").chmod(0o400)
    with pytest.raises(HTTPError) as error:
        save(manager, "locked.txt", "new")
    assert error.value.status_code == 403
    assert (tmp_path / "locked.txt").read_text() == "old"
