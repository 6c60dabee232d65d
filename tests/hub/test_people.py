"""Numbers of the system for people who have no account of it, on a hub of root's; and homes that belong to them."""

import json
import os
import sys
from pathlib import Path

import pytest

from classroom.errors import ClassroomError

from .running import ROOT

sys.path.insert(0, str(ROOT / "hub"))
import people

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    folder = tmp_path / "homes"
    folder.mkdir()
    return folder


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch) -> people.Numbers:
    monkeypatch.setattr(people, "_mapped", lambda numbers, kind: True)  # this machine's own are not the matter here
    return people.Numbers(tmp_path / "numbers.json")


def test_a_number_stays_its_persons_and_is_never_given_again(numbers, homes, tmp_path):
    ada, ben = numbers.of("ada", homes), numbers.of("ben", homes)
    assert len({ada, ben, numbers.range[0]}) == 3  # the first of the range is nobody's
    later = people.Numbers(tmp_path / "numbers.json")
    assert (later.of("ben", homes), later.of("ada", homes)) == (ben, ada)
    (homes / "ben").mkdir()
    (homes / "ben").rmdir()  # gone, with all that ben had
    assert later.of("zoe", homes) > max(ada, ben)
    assert (tmp_path / "numbers.json").stat().st_mode & 0o777 == 0o600


@root_only
def test_a_list_that_is_older_than_the_homes_gives_no_number_of_theirs(numbers, homes, tmp_path):
    people.give(homes / "ben", numbers.range[0] + 7)  # and the list that knows of it is lost
    assert numbers.of("zoe", homes) == numbers.range[0] + 8


def test_what_cannot_be_is_said(numbers, homes, tmp_path, monkeypatch):
    (tmp_path / "numbers.json").write_text('{"ada": 21')
    with pytest.raises(ClassroomError, match=r"numbers\.json: damaged"):
        people.Numbers(tmp_path / "numbers.json")
    first = people.RANGES[0][0]
    (tmp_path / "numbers.json").write_text(json.dumps({"ada": people.RANGES[0][-1], "ben": first + 1}))
    with pytest.raises(ClassroomError, match="are given"):
        people.Numbers(tmp_path / "numbers.json").of("zoe", homes)
    monkeypatch.setattr(people, "_mapped", lambda numbers, kind: False)
    with pytest.raises(ClassroomError, match="start it as an account that is not root"):
        people.Numbers(tmp_path / "numbers.json")


def test_a_container_with_few_numbers_has_a_range_too(tmp_path, monkeypatch):
    monkeypatch.setattr(people, "_mapped", lambda numbers, kind: numbers[-1] < 65536)
    assert people.Numbers(tmp_path / "numbers.json").range[-1] < 60_000


@root_only
def test_a_home_is_given_with_all_that_is_in_it_and_no_link_is_followed(numbers, homes, tmp_path):
    number, home = numbers.of("ada", homes), homes / "ada"
    others = tmp_path / "others.txt"
    others.write_text("somebody else's")
    (tmp_path / "folder").mkdir()
    (home / "a" / "b").mkdir(parents=True)
    (home / "a" / "b" / "work.txt").touch()
    (home / "a" / "link").symlink_to(others)
    (home / "a" / "to-folder").symlink_to(tmp_path / "folder")
    people.give(home, number)  # from a hub of before, when all was root's
    assert {path.lstat().st_uid for path in [home, *home.rglob("*")]} == {number}
    assert {path.lstat().st_gid for path in [home, *home.rglob("*")]} == {number}
    assert (others.stat().st_uid, (tmp_path / "folder").stat().st_uid) == (0, 0)
    os.chown(home, 0, 0)  # as if it had been interrupted: the folder itself comes last
    os.chown(home / "a" / "b" / "work.txt", 0, 0)
    people.give(home, number)
    assert (home / "a" / "b" / "work.txt").stat().st_uid == number
    people.give(homes / "ben", number + 1)
    assert ((homes / "ben").stat().st_uid, (homes / "ben").stat().st_mode & 0o777) == (number + 1, 0o700)


@root_only
def test_a_home_that_is_a_link_is_refused(homes, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (homes / "ada").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ClassroomError, match="ada: expected a folder; for a home elsewhere, mount it there"):
        people.give(homes / "ada", people.RANGES[0][1])
    assert (tmp_path / "elsewhere").stat().st_uid == 0


def test_what_only_root_may_read_is_copied_for_others(tmp_path):
    place = tmp_path / "library"
    (place / "package").mkdir(parents=True)
    (place / "package" / "one.py").write_text("x = 1\n")
    for path in (place, place / "package"):
        path.chmod(0o755)
    (place / "package" / "one.py").chmod(0o644)
    assert people.readable(place, tmp_path / "copy") == place
    (place / "package" / "one.py").chmod(0o600)
    assert people.readable(place, tmp_path / "copy") == tmp_path / "copy"
    copied = tmp_path / "copy" / "package" / "one.py"
    assert (copied.read_text(), copied.stat().st_mode & 0o777) == ("x = 1\n", 0o644)
    assert (tmp_path / "copy" / "package").stat().st_mode & 0o777 == 0o755
