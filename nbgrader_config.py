"""nbgrader's settings for this course. Dates and the late rule come from course.yml; everything else is here.

A class keeps its files in `course/` (private, not under version control). Set CLASSROOM_DIR to work on another class
with the same commands, for example on the demo class: `CLASSROOM_DIR=_build/demo nbgrader export`.
"""

import os
from pathlib import Path

from classroom.course import read_course
from classroom.gradebook import normal_url
from classroom.hub.exchange import use
from classroom.late import after_converting, before_converting

ROOT = Path(__file__).resolve().parent
CLASS = os.environ.get("CLASSROOM_DIR", "course")  # relative to this file's folder
course = read_course(ROOT / "course.yml")
(ROOT / CLASS).mkdir(mode=0o700, parents=True, exist_ok=True)  # grades and submissions are nobody else's business

c = get_config()  # noqa: F821  (nbgrader defines it where this file runs)

c.CourseDirectory.root = str(ROOT)
c.CourseDirectory.course_id = course.id
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments" if CLASS == "course" else f"{CLASS}/release"
c.CourseDirectory.submitted_directory = f"{CLASS}/submitted"
c.CourseDirectory.autograded_directory = f"{CLASS}/autograded"
c.CourseDirectory.feedback_directory = f"{CLASS}/feedback"
# The database that course.yml names belongs to the real class; any other class has a file of its own.
IN_A_FILE = f"sqlite:///{ROOT / CLASS / 'gradebook.db'}"
c.CourseDirectory.db_url = normal_url(course.gradebook) if course.gradebook and CLASS == "course" else IN_A_FILE
# What stands beside a source notebook and is not the student's.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "project.yml", "demo.yml"]

c.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("replace this line with your answer")'}
c.ClearSolutions.text_stub = "*Replace this line with your answer.*"

# A deleted test cell comes back; without this its points would wait for manual grading.
c.OverwriteCells.add_missing_cells = True
# A cell that does not react to the interrupt at its time limit: go on with the next one instead of giving up.
c.Execute.raise_on_iopub_timeout = False
c.Execute.timeout = 60

# `classroom feedback` makes pages of its own. Those that nbgrader makes (formgrader's button) show neither hidden tests
# nor what a test put out.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "nbgrader.preprocessors.ClearHiddenTests",
    "classroom.feedback.nbgraders.HideTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

c.BaseConverter.pre_convert_hook = before_converting(course, c.CourseDirectory.db_url)
c.BaseConverter.post_convert_hook = after_converting(course, c.CourseDirectory.db_url)
c.AssignLatePenalties.plugin_class = "classroom.late.LateRule"
c.LateRule.grace_minutes = course.late.grace_minutes
c.LateRule.percent_per_day = course.late.percent_per_day
c.LateRule.days = course.late.days

use(c)  # on a hub: its exchange, instead of a folder that all users share

c.NbGrader.log_level = "WARN"
