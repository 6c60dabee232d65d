# Every daily command; `make` alone prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help course test test-full check book release serve demo hub coverage lint bench bench-gpu student-tree pdf zip clean install install-test install-hub

VENV := .venv
PY := $(VENV)/bin/python
# nbgrader calls alembic by name; one thread a process, because the pages and the tests run side by side.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export OMP_NUM_THREADS ?= 1
# Notebooks may be read anywhere; nothing of a user's own Jupyter settings takes part.
export JUPYTER_PLATFORM_DIRS := 1
PORT ?= 8000

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

course: install ## make everything: environment, book, releases, a demo class graded; prints where to look
	@$(PY) book/build.py
	@$(PY) -m classroom release
	@$(PY) -m classroom demo
	@echo
	@echo "The book:      _build/html/index.html   (or: make serve)"

test: install-test ## everything that CI runs
	@$(PY) book/build.py
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -n 2 --dist loadfile

test-full: install-test ## the long form: everything of test, and each executed page once more, for equal outputs
	@$(PY) book/build.py
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -n 2 --dist loadfile --full

check: install-test lint ## the fast part of test: style, layers, the library's tests
	@$(PY) -m pytest -n 2 --dist loadfile tests/deeppractice tests/project -m "not browser"

book: install ## build the book into _build/html
	@$(PY) book/build.py

pdf: install-test ## the whole book as one PDF, linked from its first page (needs a browser, as make test)
	@$(PY) book/build.py
	@$(PY) book/export.py --pdf

zip: install ## the whole book as a zip to read offline, linked from its first page
	@$(PY) book/build.py
	@$(PY) book/export.py --zip

release: install ## make assignments/ from solutions/
	@$(PY) -m classroom release

serve: install ## show the built book on http://127.0.0.1:8000 (PORT=… for another port)
	@test -f _build/html/index.html || { echo "There is no book yet: run 'make book' first."; exit 1; }
	@echo "http://127.0.0.1:$(PORT)  (stop with Ctrl-C)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

demo: install ## take the demo class through collect, autograde, feedback and export (_build/demo)
	@$(PY) -m classroom demo

hub: install-hub ## start a JupyterHub on this machine to try the course in: http://127.0.0.1:8000 (PORT=…)
	@$(PY) hub/demo.py --port $(PORT)

coverage: install ## what covers each row of the syllabus, and the rows that nothing covers
	@$(PY) book/coverage.py

lint: install-test ## ruff on code and notebooks, the order of the library's rooms
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/lint-imports --no-logo

bench: install-hub ## measure speed against code written by hand and against public examples; results in benchmarks/
	@$(PY) benchmarks/training.py
	@$(PY) benchmarks/data.py
	@$(PY) benchmarks/generative.py
	@$(PY) benchmarks/architectures_convolutional.py
	@$(PY) benchmarks/architectures_sequences.py
	@$(PY) benchmarks/architectures_others.py
	@$(PY) benchmarks/grading.py
	@$(PY) benchmarks/writer.py
	@$(PY) benchmarks/examiner.py
	@$(PY) benchmarks/hub.py
	@$(PY) benchmarks/table.py

bench-gpu: ## the same on a GPU: needs only python3 with torch, numpy, matplotlib and scikit-learn
	@PYTHONPATH=lib python3 benchmarks/training.py --device cuda
	@PYTHONPATH=lib python3 benchmarks/generative.py --device cuda
	@PYTHONPATH=lib python3 benchmarks/architectures_convolutional.py --device cuda
	@PYTHONPATH=lib python3 benchmarks/architectures_sequences.py --device cuda
	@PYTHONPATH=lib python3 benchmarks/architectures_others.py --device cuda
	@python3 benchmarks/table.py

student-tree: install ## what students get, without solutions, into _build/student
	@$(PY) book/student_tree.py

clean: ## remove what was built; keeps the environment and a real class (course/)
	rm -rf _build .pytest_cache .ruff_cache .import_linter_cache

install: ; @.ci/install
install-hub: ; @.ci/install hub
install-test: ; @.ci/install test
