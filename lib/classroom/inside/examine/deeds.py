"""What the examiner asks for, by the name of the request: done with the student's own objects, in its process."""

from __future__ import annotations

import copy
import importlib


class Steps:
    """An iterator that the examiner asked for; a type of ours, so that `next` tells it from a generator's own."""

    def __init__(self, steps) -> None:
        self.steps = steps

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.steps)


def call_(function, arguments, settings):
    return function(*arguments, **settings)


def getattr_(thing, name):
    return getattr(thing, name)


def setattr_(thing, name, value):
    setattr(thing, name, value)


def getitem_(thing, key):
    return thing[key]


def setitem_(thing, key, value):
    thing[key] = value


def contains_(thing, key):
    return bool(key in thing)


def iter_(thing):
    return Steps(iter(thing))


def next_(steps):
    steps = steps.steps if type(steps) is Steps else steps
    try:
        return (next(steps),)
    except StopIteration:
        return ()


def len_(thing):
    return len(thing)


def enter_(thing):
    return type(thing).__enter__(thing)


def exit_(thing, text):
    error = None if text is None else Exception(text)
    return bool(type(thing).__exit__(thing, error and type(error), error, None))


def inplace_(function, arguments, settings):
    copies = copy.deepcopy(arguments)
    return function(*copies, **settings), tuple(copies)


def parameters_(module):
    return importlib.import_module("deeppractice.checks").parameters(module)


def build_(path, settings):
    return importlib.import_module("deeppractice.checks").build(path, **settings)


def train_(module, optimizer, lr):
    return getattr(importlib.import_module("torch.optim"), optimizer)(module.parameters(), lr=lr)


def seed_(number):
    importlib.import_module("deeppractice.runtime").seed_everything(number)


DEEDS = {
    "call": call_,
    "getattr": getattr_,
    "setattr": setattr_,
    "getitem": getitem_,
    "setitem": setitem_,
    "contains": contains_,
    "iter": iter_,
    "next": next_,
    "len": len_,
    "enter": enter_,
    "exit": exit_,
    "inplace": inplace_,
    "parameters": parameters_,
    "build": build_,
    "train": train_,
    "seed": seed_,
}
