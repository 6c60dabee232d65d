"""The pages on which an instructor or a student meets what a submission has put out."""

from pathlib import Path

from attack_run import Graded
from attack_target import PROJECT
from attack_tries import NOTEBOOK, Try


def pages(graded: Graded, attempts: list[Try], place: Path) -> list[Path]:
    """Formgrader's page of each autograded notebook, written to `place`, and each attempt's feedback, made before."""
    root = graded.world.root
    shown = []
    for attempt in attempts:
        found = root / "course" / "autograded" / attempt.student / PROJECT / NOTEBOOK
        path = place / f"{attempt.student}.html"
        path.write_text(_formgrader(found, attempt.student), encoding="utf-8")
        shown.append(path)
    for attempt in attempts:
        shown += sorted((root / "course" / "feedback" / attempt.student / PROJECT).rglob("*.html"))
    return shown


def _formgrader(notebook: Path, student: str) -> str:
    """What formgrader makes of a notebook, with the templates of the installed nbgrader."""
    import nbgrader.server_extensions.formgrader as formgrader
    from nbconvert import HTMLExporter

    templates = Path(formgrader.__file__).parent / "templates"
    exporter = HTMLExporter(template_name="formgrade", extra_template_basedirs=[str(templates)])
    resources = {"assignment_id": PROJECT, "notebook_id": PROJECT, "submission_id": "s", "index": 0, "total": 1}
    resources |= {"base_url": "", "student": student, "last_name": "", "first_name": student, "notebook_path": ""}
    return exporter.from_filename(str(notebook), resources=resources)[0]
