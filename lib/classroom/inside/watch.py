"""Memory of all processes of a job together, where no control group counts it.

The kernel's own limit (RLIMIT_DATA) is per process, so four children of 2 GB would pass one of 4 GB. The template,
which sees every job's processes in its /proc, adds them up several times a second; the host does for a cold kernel.
"""

import os
from collections.abc import Iterable, Sequence

PERIOD = 0.05  # seconds; what can be filled meanwhile, some 100 MB, goes over the limit
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def own_memory_mb() -> tuple[float, float]:
    """What this process holds in memory: all of it, and what of it is no file's (a fork starts with as much)."""
    with open("/proc/self/statm") as file:
        resident, shared = (int(field) * _PAGE_MB for field in file.read().split()[1:3])
    return resident, resident - shared


def families(roots: Iterable[int]) -> dict[int, list[tuple[int, int, float]]]:
    """Every process below each of `roots` and itself, as (number, threads, MB resident); shared pages count in each."""
    found: dict[int, tuple[int, int, float]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):  # ended while we looked
            continue
        found[int(name)] = int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE_MB
    grouped: dict[int, list[tuple[int, int, float]]] = {root: [] for root in roots}
    for number, (_, threads, resident) in found.items():
        # Orphans come back to the first process of their PID namespace, which is the root: nobody gets away.
        ancestor = number
        while ancestor not in grouped and ancestor in found:
            ancestor = found[ancestor][0]
        if ancestor in grouped:
            grouped[ancestor].append((number, threads, resident))
    return grouped


def memory_mb(root: int, family: Sequence[tuple[int, int, float]], places: Sequence[str], enough: float) -> float:
    """MB held by a family of processes and by the files in its private folders, which are memory too.

    Args:
        root: the first process, in whose file system the folders are.
        family: one of `families`.
        places: the private folders.
        enough: if a quick estimate, which is never too low, stays below this, it is good enough.
    """
    files = sum(_files_mb(f"/proc/{root}/root{place}") for place in places)
    quick = files + sum(resident for _, _, resident in family)
    return quick if quick <= enough else files + sum(_share_mb(number, resident) for number, _, resident in family)


def _share_mb(number: int, resident: float) -> float:
    """Memory of a process, where a page that n processes share counts 1/n."""
    try:
        with open(f"/proc/{number}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    except PermissionError:
        return resident
    except (FileNotFoundError, ProcessLookupError):  # ended while we looked
        return 0.0
    return 0.0


def _files_mb(place: str) -> float:
    try:
        found = os.statvfs(place)
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended while we looked, or hardly begun
        return 0.0
    return (found.f_blocks - found.f_bfree) * found.f_frsize / 2**20
