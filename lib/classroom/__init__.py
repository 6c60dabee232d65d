"""The classroom side of the course: release, collect, grade, give feedback. `classroom --help` lists the commands."""
