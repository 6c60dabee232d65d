"""What a simulated student works with: the release of a project, and the answers of its source notebooks."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.errors import ClassroomError
from classroom.folder import Folder

WRITTEN = "I tried it on three inputs. It holds for the first two; the third shows the limit that the text speaks of."


@dataclass
class Material:
    """A project as its students get it, and what a right submission would say."""

    project: str
    root: Path  # of the course folder
    source: Path  # of the source notebooks
    released: dict[str, NotebookNode]  # by file name
    others: dict[str, bytes]  # the release's other files, handed in as they are
    solutions: dict[tuple[str, str], str]  # by file name and grade_id of the answer cells
    bank: list[dict] = field(default_factory=list)  # the members of demo.yml


@dataclass
class Work:
    """One submission in the making; it begins as the right one."""

    material: Material
    notebooks: dict[str, NotebookNode]
    files: dict[str, bytes] = field(default_factory=dict)  # instead of a notebook of that name, or beside it
    links: dict[str, str] = field(default_factory=dict)  # name and where it points
    when: str | None = None  # timestamp.txt

    @property
    def name(self) -> str:
        """The first notebook's file name: what is odd or hostile is so in this one."""
        return next(iter(self.notebooks))

    @property
    def notebook(self) -> NotebookNode:
        """The first notebook."""
        return self.notebooks[self.name]

    def answers(self, cell_type: str | None = None) -> list[tuple[str, NotebookNode]]:
        """The answer cells of all notebooks with the names of their files; of one type if given."""
        return [
            (name, cell)
            for name, notebook in self.notebooks.items()
            for cell in notebook.cells
            if is_answer(cell) and cell_type in (None, cell.cell_type)
        ]

    def tests(self) -> list[NotebookNode]:
        """The test cells of the first notebook."""
        return [cell for cell in self.notebook.cells if nbgrader(cell).get("grade") and not is_answer(cell)]

    def code(self) -> NotebookNode:
        """The first code cell that is an answer."""
        return self.answers("code")[0][1]

    def begin(self) -> None:
        """Put every answer back to what the release says: nothing is answered."""
        for name, cell in self.answers():
            released = self.material.released[name].cells
            cell.source = next(c.source for c in released if grade_id(c) == grade_id(cell))

    def text(self, name: str | None = None) -> str:
        """A notebook as it is saved; nbformat's own checks would mend what is meant to be odd."""
        return nbformat.v4.writes_json(self.notebooks[name or self.name]) + "\n"

    def every_file(self) -> dict[str, bytes]:
        """All that is handed in, by name."""
        instead = {*self.files, *self.links}
        notebooks = {name: self.text(name).encode() for name in self.notebooks if name not in instead}
        stamp = {} if self.when is None else {"timestamp.txt": f"{self.when}\n".encode()}
        return {**self.material.others, **notebooks, **stamp, **self.files}


def read_material(folder: Folder, project: str) -> Material:
    """Read a released project.

    Raises:
        ClassroomError: if it has no code cell to answer, or is not in Python.
    """
    import yaml

    place, source = folder.path("release", project), folder.path("source", project)
    released, solutions = {}, {}
    marks = folder.app.config.ClearSolutions
    begin = marks.get("begin_solution_delimeter", "BEGIN SOLUTION")
    end = marks.get("end_solution_delimeter", "END SOLUTION")
    for path in sorted(place.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        language = notebook.metadata.get("kernelspec", {}).get("language", "python")
        if language != "python":
            raise ClassroomError(f"{project}: submissions are made in Python, {path.name} is in {language}")
        released[path.name] = notebook
        written = {grade_id(cell): cell for cell in nbformat.read(source / path.name, as_version=4).cells}
        for cell in notebook.cells:
            if is_answer(cell):
                lines = written[grade_id(cell)].source.split("\n")
                text = "\n".join(line for line in lines if begin not in line and end not in line)
                if cell.cell_type != "code" and text == cell.source:  # a question without a written solution
                    text = WRITTEN
                solutions[path.name, grade_id(cell)] = text
    if not any(is_answer(cell) and cell.cell_type == "code" for n in released.values() for cell in n.cells):
        raise ClassroomError(f"{project}: there is no code cell to answer, so there is nothing to hand in")
    others = {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.suffix != ".ipynb"
    }
    bank = source / "demo.yml"
    members = yaml.safe_load(bank.read_text(encoding="utf-8")) if bank.exists() else []
    return Material(project, folder.root, source, released, others, solutions, members)


def right_work(material: Material) -> Work:
    """A submission with every answer right."""
    work = Work(material, {name: copy.deepcopy(notebook) for name, notebook in material.released.items()})
    for name, cell in work.answers():
        cell.source = material.solutions[name, grade_id(cell)]
    return work


def own_cell(source: str, number: int = 1) -> NotebookNode:
    """A code cell that a student adds; its id is the same each time."""
    return nbformat.v4.new_code_cell(source, id=f"own-{number}")


def nbgrader(cell: NotebookNode) -> dict:
    """A cell's nbgrader metadata, empty if there is none."""
    return cell.metadata.get("nbgrader", {})


def grade_id(cell: NotebookNode) -> str | None:
    """The name by which nbgrader knows a cell."""
    return nbgrader(cell).get("grade_id")


def is_answer(cell: NotebookNode) -> bool:
    """Whether this is a cell that the student fills in."""
    return bool(nbgrader(cell).get("solution"))
