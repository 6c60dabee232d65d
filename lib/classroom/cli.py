"""The command `classroom`: what an instructor types, from a release to the table of grades.

Here is what can be typed and how a command ends; what commands do is in `classroom.commands`, which is imported late:
a worker's process begins by importing this file too.
"""

import argparse
import contextlib
import json
import os
import signal
import stat
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

from classroom.errors import ClassroomError, UnheardError, near_miss
from classroom.terminal import printable

EPILOG = """\
a class from start to end:
  classroom doctor                                  does the sandbox hold on this machine?
  classroom release checkpoint-01
  classroom collect checkpoint-01 --from downloads/
  classroom autograde checkpoint-01
  classroom status checkpoint-01
  classroom feedback checkpoint-01
  classroom export --out grades.csv

It works in any nbgrader course folder: the one with nbgrader_config.py, or one below it. Students' code runs in a
sandbox, without network, files of yours, or the hidden tests of others; nothing is run where the sandbox is missing.

Every command can be interrupted with Ctrl-C and typed again: it goes on, and does nothing twice; with --force it begins
anew. Exit codes: 0 every submission has an outcome, 1 some have none, 2 something is missing or mistyped, 130
interrupted, 141 what reads the output has gone away.
"""
INTERRUPTED = 130
UNHEARD = 141  # as of a program that SIGPIPE ended


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    parser, known = _parser()
    if argv and not argv[0].startswith("-") and argv[0] not in known:
        print(f"classroom: no command {argv[0]!r}{near_miss(argv[0], known)}", file=sys.stderr)
        return 2
    try:
        arguments = _parsed(parser, argv)
    except UnheardError as error:
        return _unheard(error)
    began = time.monotonic()
    # jsonschema would import a grammar for international addresses, which takes longer than all else that we import,
    # and which no schema of ours, nbformat's or nbgrader's asks for.
    sys.modules.setdefault("rfc3987_syntax", None)
    try:
        with _terminated_like_interrupted():
            from classroom import commands

            code, report = getattr(commands, arguments.command)(arguments)
            if arguments.json:
                seconds = round(time.monotonic() - began, 1)
                _write_json(arguments.json, {"command": arguments.command, "exit": code, "seconds": seconds, **report})
        return code
    except ClassroomError as error:
        said = str(error)
        if getattr(arguments, "force", False):  # which begins anew
            said = said.replace("the same command goes on", "the command without --force goes on")
        print(f"classroom: {printable(said)}", file=sys.stderr)
        return 2
    except UnheardError as error:
        return _unheard(error)
    except KeyboardInterrupt:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # we are ending; a second Ctrl-C would only leave a traceback
        if arguments.command == "audit":
            print("\nclassroom: interrupted; nothing of the audit is kept", file=sys.stderr)
            return INTERRUPTED
        again = "and the same command goes on from here"
        if getattr(arguments, "force", False):
            again = "and the command without --force goes on from here (with it, it begins anew)"
        print(f"\nclassroom: interrupted; what is done is kept, {again}", file=sys.stderr)
        return INTERRUPTED


def _parsed(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """The arguments; after --help, or a mistake, the end."""
    try:
        try:
            return parser.parse_args(argv)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        raise UnheardError(error) from None


def _unheard(error: UnheardError) -> int:
    """End where standard output takes nothing more: with the code that a shell knows, and with a word if one is heard.

    What stands in Python's buffer would be tried again as it ends, so it goes nowhere.
    """
    with contextlib.suppress(OSError, ValueError):  # a stream that is no file, in a program that called us
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    why = "nobody reads what it prints any more" if error.reader_left else f"cannot print: {error}"
    with contextlib.suppress(OSError):
        print(f"classroom: {why}; it stopped there, and what was done before is kept", file=sys.stderr, flush=True)
    return UNHEARD if error.reader_left else 2


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does: a queue or a service manager ends a command with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write_json(name: str, report: dict) -> None:
    text = json.dumps(report, indent=1, ensure_ascii=False, default=str) + "\n"
    try:
        # Names and grades are for nobody else, also where the file was there before; a pipe or a device is as it is.
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:  # of a lone surrogate that is JSON
            if stat.S_ISREG(os.fstat(handle).st_mode):
                os.fchmod(handle, 0o600)
            file.write(text)
    except OSError as error:
        raise ClassroomError(f"--json {name}: {(error.strerror or str(error)).lower()}") from None


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help with the examples left as they are, and room for the names of the commands."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)


def _number(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds


def _percent(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 100:
        raise argparse.ArgumentTypeError(f"expected a percentage above 0, up to 100, got {text!r}")
    return percent / 100


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = argparse.ArgumentParser(
        prog="classroom",
        description="Release projects, collect and grade submissions, give feedback.",
        epilog=EPILOG,
        formatter_class=_Help,
    )
    words = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str, *examples: str, more: str = "") -> argparse.ArgumentParser:
        made = words.add_parser(
            name,
            help=help,
            description=textwrap.fill(f"{help[0].upper()}{help[1:]}. {more}", 100),
            epilog="\n  ".join(["examples:" if len(examples) > 1 else "example:", *examples]),
            formatter_class=_Help,
        )
        made.add_argument("--course", metavar="DIR", help="the class to work in (default: course, or CLASSROOM_DIR)")
        made.add_argument("--json", metavar="FILE", help="write what was done as JSON")
        return made

    made = command("release", "make the students' version of projects", "classroom release checkpoint-01")
    made.add_argument("project", nargs="?", metavar="PROJECT", help="one project (default: all of course.yml)")

    made = command(
        "collect",
        "take submissions in",
        "classroom collect checkpoint-01                               from nbgrader's exchange",
        "classroom collect checkpoint-01 --from downloads/             a folder for each student",
        "classroom collect checkpoint-01 --from 'Moodle download.zip' --pattern moodle",
        more="Nothing of them is run. What is not taken is listed with the reason, and nothing is lost.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--from", dest="source", metavar="PATH", help="a folder, zip or tar (default: the exchange)")
    made.add_argument(
        "--pattern", metavar="P", help="how names are read: nbgrader, exchange, moodle, canvas, or a regex"
    )
    made.add_argument("--take-late", action="append", default=[], metavar="ID", help="let a late submission count")

    made = command(
        "autograde",
        "run the tests on what was collected",
        "classroom autograde checkpoint-01",
        "classroom autograde checkpoint-01 --student demo-late --force --cell-timeout 120",
        "classroom autograde checkpoint-01 --scheduler tls://scheduler.example.org:8786 "
        "--tls-ca ca.pem --tls-cert me.pem --tls-key me.key",
        more="In the sandbox, several at a time. What has not changed since it was graded stands as it is.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--student", action="append", metavar="ID", help="only this one; may be repeated")
    made.add_argument("--force", action="store_true", help="also what has not changed since it was graded")
    _add_engine(made)

    made = command(
        "regrade",
        "grade one submission again, with a reason that is logged",
        "classroom regrade demo-late checkpoint-01 --reason 'test 3 was wrong'",
        more="Who did it, when and why, and the grade before and after, stand in log.jsonl in the class's folder.",
    )
    made.add_argument("student", metavar="STUDENT")
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--reason", metavar="TEXT", required=True, help="why")
    _add_engine(made)

    made = command(
        "feedback",
        "make each student's page of feedback",
        "classroom feedback checkpoint-01",
        "classroom feedback checkpoint-01 --release",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--student", action="append", metavar="ID", help="only this one; may be repeated")
    made.add_argument("--release", action="store_true", help="also hand it out through nbgrader's exchange")

    made = command("status", "show who handed in and what came out", "classroom status checkpoint-01")
    made.add_argument("project", metavar="PROJECT")

    made = command(
        "report",
        "write a page of statistics: marks, parts, checks, time",
        "classroom report checkpoint-01",
        "classroom report checkpoint-01 --to report.html --names",
        more="One HTML file, with plots and with words beside them; students have pseudonyms in it.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--to", metavar="FILE", help="where to (default: report-PROJECT.html in the class's folder)")
    made.add_argument("--names", action="store_true", help="name the students: a page for nobody but you")

    made = command("show", "show one submission in detail", "classroom show demo-late checkpoint-01")
    made.add_argument("student", metavar="STUDENT")
    made.add_argument("project", metavar="PROJECT")

    made = command(
        "export",
        "write the points as CSV, or as Canvas or Moodle take them in",
        "classroom export --out grades.csv",
        "classroom export --to canvas --from Grades-Course.csv",
        "classroom export --to moodle checkpoint-01",
        "classroom export --to moodle checkpoint-01 --from 'Grades-Worksheet.csv'",
        more="Late penalties are taken off. Whose written parts wait for a person gets no number at a platform.",
    )
    made.add_argument("project", nargs="*", metavar="PROJECT", help="only these (default: all)")
    made.add_argument("--to", metavar="FORMAT", default="csv", help="csv, canvas or moodle (default: csv)")
    made.add_argument(
        "--from", dest="source", metavar="FILE", help="Canvas's exported gradebook, or Moodle's grading worksheet"
    )
    made.add_argument("--out", metavar="FILE", help="where to (default: a file in the class's folder; it is said)")
    made.add_argument("--before-penalty", action="store_true", help="what was earned, without penalties for lateness")
    made.add_argument("--incomplete", action="store_true", help="also the points of those with parts that wait for you")
    made.add_argument("--scale", action="store_true", help="multiply points where the platform's maximum is another")
    made.add_argument(
        "--column", action="append", default=[], metavar="PROJECT=TITLE", help="which column of Canvas is a project's"
    )

    made = command(
        "similarity",
        "show which submissions share code, as a page to look at",
        "classroom similarity checkpoint-01",
        "classroom similarity checkpoint-01 --past ../spring-2025/course/submitted --names",
        more="Also with the official answers, the book and other terms. It is evidence to look at, not a verdict.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument(
        "--past", action="append", default=[], metavar="DIR", help="another term's submitted/; may be repeated"
    )
    made.add_argument("--out", metavar="FILE", help="where to (default: similarity-PROJECT.html in the class's folder)")
    made.add_argument("--names", action="store_true", help="name the students; without, they have pseudonyms")
    made.add_argument("--threshold", type=_percent, metavar="PERCENT", help="show pairs from this much on (30)")

    made = command(
        "amend",
        "mend a release in mid-term",
        "classroom amend checkpoint-01",
        more="After a change in the source: old submissions are graded against it, and who is affected is listed.",
    )
    made.add_argument("project", metavar="PROJECT")
    _add_engine(made)

    made = command(
        "forget",
        "remove a person from gradebook, files and reports",
        "classroom forget demo-late --dry-run",
        "classroom forget demo-late --yes",
        "classroom forget --expired                   everybody, once the days of course.yml have passed",
    )
    made.add_argument("student", nargs="?", metavar="STUDENT")
    made.add_argument("--expired", action="store_true", help="everybody, where retention in course.yml says it is time")
    made.add_argument("--dry-run", action="store_true", help="only say what would go")
    made.add_argument("--yes", action="store_true", help="do not ask")

    made = command(
        "new",
        "begin a project: a small complete one, to be changed",
        "classroom new heat-equation",
        more="It can be released, linted and graded as it stands. Nothing that exists is overwritten.",
    )
    made.add_argument("project", metavar="PROJECT", help="lower-case letters, digits and hyphens")
    made.add_argument("--title", metavar="TEXT", help="its title (default: made of the name)")

    made = command(
        "lint",
        "see whether a project's tests say the same under Validate and in grading",
        "classroom lint checkpoint-01",
        "classroom lint checkpoint-01 --bank",
        more="The test cells are looked at, then run with your solution and unanswered, in both ways. No class is "
        "touched. Exit codes: 0 clean, 1 something was found, 2 something is missing or mistyped.",
    )
    made.add_argument("project", metavar="PROJECT")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--no-run", action="store_true", help="only look at the text")
    how.add_argument("--bank", action="store_true", help="also grade the answers of its bank: their points are right")
    _add_engine(made)

    made = command(
        "audit",
        "try attacks and answers without work on a project",
        "classroom audit checkpoint-01",
        "classroom audit checkpoint-01 --quick",
        more="Fifty submissions are made of the release, and graded in a class of their own. Exit codes: 0 no points "
        "and no effects, 1 something was found, 2 something is missing or mistyped.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--quick", action="store_true", help="only sixteen of them, the most telling")
    made.add_argument("--jobs", type=_number, metavar="N", help="how many at a time (default: one a processor)")

    made = command(
        "doctor",
        "show which layers of the sandbox hold on this machine",
        "classroom doctor",
        "classroom doctor --kernelspec sandboxed",
        more="Each is tried by breaking it.",
    )
    made.add_argument("--kernelspec", metavar="NAME", help="write a Jupyter kernel that runs in the sandbox")

    made = command(
        "simulate",
        "make a synthetic class for trying out",
        "classroom simulate checkpoint-01 --students 200",
        "classroom simulate checkpoint-01 --students 40 --only right --only wrong",
        more="Right, partial, wrong, odd and hostile submissions, as a folder for `classroom collect --from`.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--students", type=_number, metavar="N", required=True, help="how many")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="another number makes another class")
    made.add_argument("--to", metavar="DIR", help="where to (default: inbound-simulated/PROJECT in the class's folder)")
    made.add_argument("--only", action="append", metavar="GROUP", help="right, partial, wrong, odd or hostile")

    made = command(
        "demo",
        "take a made-up class through the whole cycle",
        "classroom demo",
        more="It lives in _build/demo, with a gradebook of its own.",
    )
    made.add_argument("project", nargs="?", metavar="PROJECT", help="one project (default: all that have a demo class)")
    _add_engine(made)
    return parser, list(words.choices)


def _add_engine(made: argparse.ArgumentParser) -> None:
    """The options of every command that runs submissions."""
    limits = made.add_argument_group("limits of a submission (default: project.yml's, course.yml's)")
    limits.add_argument("--timeout", type=_seconds, metavar="S", help="seconds in all (20 minutes)")
    limits.add_argument("--cell-timeout", type=_seconds, metavar="S", help="seconds for each cell (60)")
    limits.add_argument("--memory", type=_number, metavar="MB", help="memory of all its processes (4096)")
    where = made.add_argument_group("where it runs")
    where.add_argument("--jobs", type=_number, metavar="N", help="how many at a time (default: one a processor)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler; outside this machine tls://…")
    for what, of in (("ca", "authority that signed both certificates"), ("cert", "certificate"), ("key", "key")):
        where.add_argument(f"--tls-{what}", metavar="FILE", help=f"the {of} (default: Dask's settings)")
    how = where.add_mutually_exclusive_group()
    how.add_argument("--cold", action="store_true", help="a Jupyter kernel for each, for other environments: slower")
    how.add_argument(
        "--insecure", action="store_true", help="WITHOUT sandbox: students' code runs as you, with all yours"
    )


if __name__ == "__main__":
    sys.exit(main())
