"""What is written for somebody under a name that another one chose: it stays in its folder, and is whole or not there.

Cases: names that lead elsewhere; a link on the way, and in the file's place; a file that is there already; a full disk.
"""

import subprocess
import sys

import pytest

from classroom.errors import RefusedError
from classroom.intake.files import check, write

FULL = """\
import resource, sys
from pathlib import Path
from classroom.intake.files import write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write(Path(sys.argv[1]), "one.ipynb", bytes(5000), replace=True)
except OSError as error:
    print(error.filename)
"""


@pytest.mark.parametrize(
    "name", ["", "/x", "../x", "a/../x", "a//b", "a/.", "a\\b", "a\0b", "a\nb", "é" * 128, "a/" * 300]
)
def test_a_name_that_is_not_one_of_a_file_in_the_folder(name):
    with pytest.raises(RefusedError):
        check(name)


def test_a_name_within_the_folder():
    assert check("data/é 1.csv") == "data/é 1.csv"


def test_a_link_is_not_written_through(tmp_path):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    (home / "folder").symlink_to(elsewhere)
    with pytest.raises(RefusedError, match="is a link: not written"):
        write(home, "folder/x", b"", replace=True)
    (home / "file").symlink_to(elsewhere / "file")
    write(home, "file", b"mine", replace=False)
    assert (home / "file").is_symlink()
    write(home, "file", b"mine", replace=True)
    assert not (home / "file").is_symlink()
    assert (home / "file").read_bytes() == b"mine"
    write(home, "file", b"other", replace=False)
    assert (home / "file").read_bytes() == b"mine"
    assert list(elsewhere.iterdir()) == []


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path):
    target = tmp_path / "one.ipynb"
    target.write_bytes(b"as it was")
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == str(target), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["one.ipynb"]
    assert target.read_bytes() == b"as it was"
