"""What root does on the way into a view of the machine: places are brought to where an unprivileged number finds them,
and root becomes that number.

bubblewrap started so makes all namespaces as an ordinary user's would be. The sandbox of grading enters by it, and so
do people's servers on a hub of root's.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from classroom.sandbox.policy import SandboxError

# Folders of the system that everybody can enter, to put a small file system on; only the view itself sees it.
_STANDS = ("/mnt", "/media", "/srv", "/opt", "/var", "/home")
_BRIDGE = (
    'top=$1; n=$2; shift 2; mount -t tmpfs -o mode=755 tmpfs "$top" || exit 98; i=0; while [ "$i" -lt "$n" ]; do '
    'mkdir "$top/$i" && mount --bind "$1" "$top/$i" || exit 98; shift; i=$((i+1)); done; exec "$@"'
)


def bridge(folders: Sequence[Path], beside: Sequence[Path] = ()) -> tuple[list[str], dict[Path, Path]]:
    """A way to folders that another number can't walk to, such as an environment below /root.

    They are mounted once more, in a mount namespace of the command's own, where it can; nothing outside changes.

    Args:
        folders: what is to be reached.
        beside: places that have to stay where they are.

    Returns:
        The beginning of the command, and where each of the folders is then.
    """
    stands = [Path(top) for top in _STANDS if Path(top).is_dir()]
    stand = next((top for top in stands if not _above(top, [*folders, *beside])), None)
    if stand is None:
        raise SandboxError(f"expected one of {', '.join(_STANDS)} with nothing below it that is needed, found none")
    line = [util("unshare"), "--mount", "--propagation", "private", "--", "/bin/sh", "-c", _BRIDGE, "bridge"]
    return [*line, str(stand), str(len(folders)), *map(str, folders)], {
        place: stand / str(number) for number, place in enumerate(folders)
    }


def become(number: int) -> list[str]:
    """The next part of the command: another number, without any group or capability of root's."""
    drop = [util("setpriv"), f"--reuid={number}", f"--regid={number}", "--clear-groups"]
    return [*drop, "--inh-caps=-all", "--bounding-set=-all", "--"]


def util(name: str) -> str:
    """Where a program of util-linux lies."""
    found = shutil.which(name)
    if found is None:
        raise SandboxError(f"`{name}` is not installed; it belongs to util-linux: `sudo apt install util-linux`")
    return found


def _above(top: Path, places: Sequence[Path]) -> bool:
    return any(place.resolve().is_relative_to(top) for place in places)
