"""MNIST, Fashion-MNIST and CIFAR-10: downloaded once, checked every time, and clear about what to do without a network.

The addresses and the MD5 sums of the archives are those that torchvision holds. The archives stay as they are in the
folder that the variable DEEPPRACTICE_DATA names, by default ~/.cache/deeppractice, and are read from there.
"""

import gzip
import hashlib
import http.client
import io
import os
import pickle
import tarfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deeppractice.data._settings import chosen
from deeppractice.data.cards import CARDS
from deeppractice.data.sets import Images

VARIABLE = "DEEPPRACTICE_DATA"
PARTS = ("train", "test")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SECONDS = 20  # without an answer, until a mirror counts as out of reach


@dataclass(frozen=True)
class Source:
    """Where a set comes from, and how its archives are read.

    Attributes:
        mirrors: addresses of folders, each with all archives.
        archives: name -> MD5 sum.
        read: (archives' bytes by name, part) -> images uint8 (N, H, W, C) and labels (N,).
        classes: the classes, in the order of their numbers.
    """

    mirrors: tuple[str, ...]
    archives: dict[str, str]
    read: Callable[[dict[str, bytes], str], tuple[np.ndarray, np.ndarray]]
    classes: tuple[str, ...]


def source(name: str) -> Source:
    """The source of "mnist", "fashion-mnist" or "cifar10"."""
    from deeppractice.data._torchvision import torchvision

    if name == "cifar10":
        its = torchvision.datasets.CIFAR10
        return Source((its.url.removesuffix(its.filename),), {its.filename: its.tgz_md5}, read_cifar, CIFAR10)
    its = {"mnist": torchvision.datasets.MNIST, "fashion-mnist": torchvision.datasets.FashionMNIST}[name]
    classes = tuple("0123456789") if name == "mnist" else tuple(its.classes)
    return Source(tuple(its.mirrors), dict(its.resources), read_idx, classes)


def downloaded(name: str, n: int | None = None, *, part: str | None = None, seed: int = 0) -> Images:
    """Images of a public set: "mnist", "fashion-mnist" or "cifar10".

    Args:
        n: how many, drawn at random without repetition; by default all.
        part: "train" or "test", as published; by default both. The factor `part` says which an image is of.
        seed: of the draw; the first n of a larger n are the same.

    Raises:
        FileNotFoundError: if an archive is neither in the folder nor to be had; names addresses, sums and the folder.
        ValueError: for an archive that is not the published one, more images than there are, or an unknown part.
    """
    return taken(name, source(name), n, part=part, seed=seed)


def taken(name: str, origin: Source, n: int | None = None, *, part: str | None = None, seed: int = 0) -> Images:
    """The same from a given source."""
    parts = PARTS if part is None else chosen("part", part, PARTS)
    files = archives(name, origin)
    read = [origin.read(files, each) for each in parts]
    labels = np.concatenate([y for _, y in read]).astype(np.int64)
    if n is not None and not 1 <= n <= len(labels):
        raise ValueError(f"n: expected 1 to {len(labels)}, got {n}")
    rows = np.arange(len(labels)) if n is None else np.random.default_rng(seed).permutation(len(labels))[:n]
    pixels = np.concatenate([x for x, _ in read])[rows]  # (N, H, W, C)
    X = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    X /= 255
    factors = {"part": np.repeat(parts, [len(y) for _, y in read])[rows]}
    return Images(X, labels[rows], factors, origin.classes, CARDS[name])


def archives(name: str, origin: Source) -> dict[str, bytes]:
    """The archives of a set, from its folder, or else from the first mirror that has the right ones."""
    folder = Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "deeppractice").expanduser() / name
    files, missing, reasons = {}, [], []
    for file, expected in origin.archives.items():
        path = folder / file
        if path.exists():
            files[file] = path.read_bytes()
            got = hashlib.md5(files[file], usedforsecurity=False).hexdigest()
            if got != expected:
                raise ValueError(
                    f"{path} is not the published file: expected the MD5 sum {expected}, got {got}. "
                    "Delete it, and load again"
                )
            continue
        for mirror in origin.mirrors if not missing else ():  # where one is out of reach, so are the rest
            try:
                with urllib.request.urlopen(mirror + file, timeout=SECONDS) as answer:
                    content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                reasons.append(f"{mirror}: {error}")
                continue
            got = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if got == expected:
                files[file] = content
                folder.mkdir(parents=True, exist_ok=True)
                half = path.with_name(f"{file}.{os.getpid()}.part")
                half.write_bytes(content)
                half.replace(path)  # so that a broken-off write never looks like an archive
                break
            reasons.append(f"{mirror}: expected the MD5 sum {expected} of {file}, got {got}")
        if file not in files:
            missing.append(file)
    if missing:
        wanted = "\n".join(f"  {origin.mirrors[0]}{file}   MD5 {origin.archives[file]}" for file in missing)
        raise FileNotFoundError(
            f"{name!r} could not be downloaded ({'; '.join(reasons)}). Where there is a network, download\n{wanted}\n"
            f"then put what you got, under the same names, into {folder} (the variable {VARIABLE} sets another place "
            f"than {folder.parent}), and load again"
        )
    return files


def read_idx(files: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's own format: 4 bytes that end with the number of dimensions, a big-endian size each, then the values."""
    arrays = []
    for kind in ("images-idx3", "labels-idx1"):
        raw = gzip.decompress(files[f"{'train' if part == 'train' else 't10k'}-{kind}-ubyte.gz"])
        dimensions = raw[3]
        shape = np.frombuffer(raw, ">i4", dimensions, offset=4)
        arrays.append(np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape))
    images, labels = arrays
    return images[..., None], labels


def read_cifar(files: dict[str, bytes], part: str) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10's "python version": pickled batches in a tar archive, whose sum has been checked."""
    (content,) = files.values()
    batches = [f"data_batch_{i}" for i in range(1, 6)] if part == "train" else ["test_batch"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        read = [pickle.load(archive.extractfile(f"cifar-10-batches-py/{b}"), encoding="latin1") for b in batches]
    images = np.concatenate([batch["data"] for batch in read]).reshape(-1, 3, 32, 32)
    return images.transpose(0, 2, 3, 1), np.concatenate([batch["labels"] for batch in read])
