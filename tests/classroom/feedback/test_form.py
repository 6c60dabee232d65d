"""Pages are made anew when any module that shapes them has changed: none is forgotten, and a change is seen."""

import re

import pytest

from classroom.feedback import form

NAMED = ["drawings", "feedback.page", "images", "inside.examine.saying", "late", "sanitise", "statistics.page"]
NAMED += ["statistics.style", "terminal", "texts"]


def test_what_takes_part():
    found = form.modules()
    assert {f"classroom.{name}" for name in NAMED} <= set(found)
    assert not {name for name in found if "sandbox" in name or "gradebook" in name}


def test_nothing_that_is_imported_is_forgotten():
    """Held against the words `from classroom.x import` of their texts, wherever they stand."""
    found, named = set(form.modules()), set()
    for module in found:
        named |= set(re.findall(r"^\s*(?:from|import) (classroom\.[\w.]+)", form._path(module).read_text(), re.M))
    assert {name for name in named - found if not name.startswith(tuple(form._ELSEWHERE))} == set()
    assert len(named & found) > 15


@pytest.mark.parametrize("name", NAMED)
def test_a_change_of_any_is_a_new_form(name, monkeypatch, tmp_path):
    before, path_of = form.form_digest(), form._path
    changed = tmp_path / "changed.py"
    changed.write_bytes(path_of(f"classroom.{name}").read_bytes() + b"\n")
    monkeypatch.setattr(form, "_path", lambda module: changed if module == f"classroom.{name}" else path_of(module))
    assert form.form_digest.__wrapped__() != before
