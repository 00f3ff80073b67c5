# `make demo` and `make test` set everything up on a fresh machine and then do what they say.
PYTHON ?= python3
UV_VERSION = 0.13.9
LABEL_STUDIO_VERSION = 1.23.2
UV = .venv/bin/uv pip install --quiet --python

.PHONY: all demo test lint format rooms bench clean
all: .venv/installed .venv-label-studio/installed

demo: all
	.venv/bin/podcast demo

test: all lint
	.venv/bin/python -m pytest

lint: .venv/installed
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format: .venv/installed
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

rooms: .venv/installed
	.venv/bin/python docs/rooms.py

bench: all
	@for script in benchmarks/*.py; do .venv/bin/python $$script || exit 1; done

clean:
	rm -rf .venv .venv-label-studio .podcast

# label-studio-ml's own pins hold back Flask to versions with known holes, so it is installed without them (docs/adr/0002).
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet uv==$(UV_VERSION)
	$(UV) .venv --constraint constraints.txt --editable '.[dev,ray]'
	$(UV) .venv --constraint constraints.txt --no-deps label-studio-ml
	touch $@

.venv-label-studio/installed: .venv/installed constraints-label-studio.txt
	$(PYTHON) -m venv .venv-label-studio
	$(UV) .venv-label-studio --constraint constraints-label-studio.txt label-studio==$(LABEL_STUDIO_VERSION)
	touch $@
