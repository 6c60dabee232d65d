"""The command `classroom`: what an instructor types, from a release to the table of grades."""

import argparse
import json
import sys
import textwrap
import time
from pathlib import Path

from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder

EPILOG = """\
a class from start to end:
  classroom release
  classroom collect checkpoint-01 --from downloads/
  classroom autograde checkpoint-01
  classroom status checkpoint-01
  classroom feedback checkpoint-01
  classroom export --to grades.csv

Every command can be interrupted with Ctrl-C and typed again: it goes on, and does nothing twice. Exit codes: 0 every
submission has an outcome, 1 some have none, 2 something is missing or mistyped, 130 interrupted.

Grading is stock nbgrader with a time limit: it runs the students' code as you. The sandbox comes with a later version.
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    parser, commands = _parser()
    first = next((word for word in argv if not word.startswith("-")), None)
    if first is not None and first == argv[0] and first not in commands:
        print(f"classroom: no command {first!r}{near_miss(first, commands)}", file=sys.stderr)
        return 2
    arguments = parser.parse_args(argv)
    try:
        folder = Folder.find(arguments.course)
        began = time.monotonic()
        code, report = arguments.run(folder, arguments)
        if arguments.json:
            seconds = round(time.monotonic() - began, 1)
            report = {"command": arguments.command, "exit": code, "seconds": seconds, **report}
            text = json.dumps(report, indent=1, ensure_ascii=False, default=str)
            Path(arguments.json).write_text(text + "\n", encoding="utf-8")
        return code
    except ClassroomError as error:
        print(f"classroom: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nclassroom: interrupted; what is done is kept, and the same command goes on from here", file=sys.stderr)
        return 130


def _say(text: str) -> None:
    print(text, flush=True)


def _release(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.release import release

    with folder.lock():
        return 0, release(folder, _projects(folder, arguments.project), _say)


def _collect(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.collect import collect

    folder.require(arguments.project)
    with folder.lock():
        return 0, collect(folder, arguments.project, Path(arguments.source), _say)


def _autograde(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.autograde import autograde
    from classroom.results import FAILED

    folder.require(arguments.project)
    with folder.lock():
        report = autograde(
            folder,
            arguments.project,
            _say,
            students=arguments.student,
            timeout=arguments.timeout,
            force=arguments.force,
        )
    failed = any(record["outcome"] == FAILED for record in report["submissions"].values())
    return int(failed), report


def _feedback(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.report import feedback

    folder.require(arguments.project)
    with folder.lock():
        report = feedback(folder, arguments.project, _say)
    return int(bool(report["failed"])), report


def _export(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.report import export

    with folder.lock():
        return 0, export(folder, Path(arguments.to) if arguments.to else None, _say)


def _status(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.report import status

    with folder.lock():  # it brings the late penalties up to date
        return 0, status(folder, arguments.project, _say)


def _demo(folder: Folder, arguments: argparse.Namespace) -> tuple[int, dict]:
    from classroom.demo import demo

    if arguments.course is None:
        folder = Folder(folder.root, "_build/demo")
    with folder.lock():
        return 0, demo(folder, _projects(folder, arguments.project), _say, timeout=arguments.timeout)


def _projects(folder: Folder, project: str | None) -> list[str]:
    return [folder.require(project)] if project else folder.projects()


def _seconds(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of seconds, 1 or more, got {text!r}")
    return int(text)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help with the examples left as they are, and room for the names of the commands."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = argparse.ArgumentParser(
        prog="classroom",
        description="Release projects, collect and grade submissions, give feedback.",
        epilog=EPILOG,
        formatter_class=_Help,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, help: str, example: str, more: str = "") -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=help,
            description=textwrap.fill(f"{help[0].upper()}{help[1:]}. {more}", 100),
            epilog=f"example:\n  {example}",
            formatter_class=_Help,
        )
        made.set_defaults(run=run)
        made.add_argument("--course", metavar="DIR", help="the class to work in (default: course, or CLASSROOM_DIR)")
        made.add_argument("--json", metavar="FILE", help="write what was done as JSON")
        return made

    made = command("release", _release, "make the students' version of projects", "classroom release checkpoint-01")
    made.add_argument("project", nargs="?", metavar="PROJECT", help="one project (default: all of course.yml)")

    made = command(
        "collect",
        _collect,
        "take submissions from a folder",
        "classroom collect checkpoint-01 --from downloads/",
        "Expected is DIR/STUDENT/NAME.ipynb with a timestamp.txt. What is not taken is listed with the reason.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument(
        "--from", dest="source", metavar="DIR", required=True, help="the folder that holds a folder for each student"
    )

    made = command(
        "autograde",
        _autograde,
        "run the tests on what was collected",
        "classroom autograde checkpoint-01 --student demo-late --timeout 20",
        "This runs the students' code as you; the sandbox comes with a later version.",
    )
    made.add_argument("project", metavar="PROJECT")
    made.add_argument("--student", action="append", metavar="ID", help="only this one; may be repeated")
    made.add_argument("--timeout", type=_seconds, metavar="S", help="seconds for each cell (default: project.yml's)")
    made.add_argument("--force", action="store_true", help="also what has not changed since it was graded")

    made = command("feedback", _feedback, "make each student's page of feedback", "classroom feedback checkpoint-01")
    made.add_argument("project", metavar="PROJECT")

    made = command("export", _export, "write the table of grades as CSV", "classroom export --to grades.csv")
    made.add_argument("--to", metavar="FILE", help="where to (default: grades.csv in the class's folder)")

    made = command("status", _status, "show who handed in and what came out", "classroom status checkpoint-01")
    made.add_argument("project", metavar="PROJECT")

    made = command(
        "demo",
        _demo,
        "take a made-up class through the whole cycle",
        "classroom demo",
        "It lives in _build/demo, with a gradebook of its own.",
    )
    made.add_argument("project", nargs="?", metavar="PROJECT", help="one project (default: all that have a demo class)")
    made.add_argument("--timeout", type=_seconds, metavar="S", help="seconds for each cell (default: 10)")
    return parser, list(commands.choices)


if __name__ == "__main__":
    sys.exit(main())
