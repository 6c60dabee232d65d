"""What the instructor's guide and the other documents say of `classroom`, held against the program itself.

In this order: every command line that is shown parses; every command has an example, and every option is mentioned in
the guide; commands named in running text exist; the messages of the tables are messages of the program; pages are in
the table of contents and no placeholder is left; nothing says any more that there is no sandbox.
"""

import argparse
import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from classroom import cli

ROOT = Path(__file__).resolve().parents[2]
GUIDE = sorted((ROOT / "book" / "teach").glob("*.md"))
OTHERS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "index.md", "course.yml")
DOCUMENTS = [*GUIDE, *(ROOT / name for name in OTHERS)]
FENCE = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.M | re.S)
LEAST = 8  # letters of a message's fragment, below which finding it means nothing


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def command_lines(path: Path) -> list[list[str]]:
    """The words of each `classroom …` line in shell blocks, and of those in the text that have arguments."""
    text = path.read_text(encoding="utf-8")
    inline = re.findall(r"`classroom ([a-z]+ [^`]+)`", FENCE.sub("", text))
    found = [shlex.split(line) for line in inline]
    for _, language, body in FENCE.findall(text):
        if language == "shell":
            for line in body.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0].removeprefix(".venv/bin/") == "classroom":
                    found.append(words[1:])
    return found


def parser() -> argparse.ArgumentParser:
    made = cli._parser()
    return made[0] if isinstance(made, tuple) else made


def subcommands() -> dict[str, argparse.ArgumentParser]:
    return next(a.choices for a in parser()._actions if isinstance(a, argparse._SubParsersAction))


LINES = [(path, words) for path in DOCUMENTS for words in command_lines(path)]


@pytest.mark.parametrize(("path", "words"), LINES, ids=[f"{name(path)}: {' '.join(words)}" for path, words in LINES])
def test_each_command_line_shown_is_one_that_the_program_takes(path, words, capsys):
    if words[-1:] == ["--help"]:
        words = words[:-1]
    try:
        parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"{name(path)}: classroom {shlex.join(words)}: {capsys.readouterr().err.splitlines()[-1]}")


@pytest.mark.parametrize("command", subcommands())
def test_each_command_has_an_example_in_the_guide(command):
    shown = {words[0] for path in GUIDE for words in command_lines(path) if words}
    assert command in shown


@pytest.mark.parametrize("command", subcommands())
def test_each_option_is_mentioned_in_the_guide(command):
    text = "\n".join(path.read_text(encoding="utf-8") for path in GUIDE)
    options = {
        option
        for action in subcommands()[command]._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help" and action.help != argparse.SUPPRESS
    }
    missing = {option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)}
    assert missing == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_named_in_the_text_exist(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    named = {found for found in re.findall(r"`(?:\.venv/bin/)?classroom ([a-z][a-z-]*)", text)}
    assert named <= set(subcommands())


def strings_of_the_program() -> str:
    """The texts that the program's own code holds, with a … for what is filled in."""
    found = []
    for path in sorted((ROOT / "lib" / "classroom").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\0".join(" ".join(text.split()) for text in found)


def messages(path: Path) -> list[str]:
    """The first column of each table whose head says `message`, without its code marks."""
    found, inside = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif cells[0] == "message":
            inside = True
        elif inside and not set(cells[0]) <= {"-", ":"}:
            found.append(cells[0].strip("`").replace(r"\|", "|"))
    return found


def test_messages_in_the_guide_are_messages_of_the_program():
    texts, missing, count = strings_of_the_program(), [], 0
    for path in GUIDE:
        for message in messages(path):
            fragments = [part.strip() for part in message.split("…")]
            telling = [part for part in fragments if len(part) >= LEAST]
            assert telling, f"{name(path)}: {message!r} has nothing that could be looked up"
            missing += [f"{name(path)}: {part}" for part in telling if part not in texts]
            count += 1
    assert missing == []
    assert count > 20


def test_every_page_of_the_guide_is_in_the_table_of_contents_as_its_last_part():
    last = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"][-1]
    pages = [part["file"] for chapter in last["chapters"] for part in (chapter, *chapter.get("sections", []))]
    assert last["caption"] == "Teaching"
    assert sorted(pages) == sorted(name(path).removesuffix(".md") for path in GUIDE)


@pytest.mark.parametrize("path", GUIDE, ids=name)
def test_no_placeholder_and_no_place_of_one_machine_is_left(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\{\{|TODO|XXX|/tmp/h-", text)


def test_the_documents_do_not_say_that_there_is_no_sandbox():
    for path in DOCUMENTS:
        text = " ".join(path.read_text(encoding="utf-8").split()).casefold()
        assert "without a sandbox**" not in text
        assert "no sandbox yet" not in text
