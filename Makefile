# `make demo` and `make test` set up on a fresh machine what they need, and then do what they say.
PYTHON ?= python3
UV_VERSION = 0.13.9
UV = .venv/bin/uv pip install --quiet --python

# The detector of the ML backend, from the environment or .env; all but `energy` need torch.
ML_DETECTOR ?= $(shell sed -n 's/^ML_DETECTOR=//p' .env 2>/dev/null)
SERVED = $(if $(findstring energy,$(or $(ML_DETECTOR),energy)),.venv/installed-core,.venv/installed-detectors)

.PHONY: all demo test fuzz lint format rooms bench clean
all: .venv/installed .venv-label-studio/installed

demo: .venv/installed-core $(SERVED) .venv-label-studio/installed
	.venv/bin/podcast demo

test: all lint
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

fuzz: all
	.venv/bin/python -m tests.fuzz.run --cases 24000

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
	@for script in benchmarks/[a-z]*.py; do .venv/bin/python $$script || exit 1; done

clean:
	rm -rf .venv .venv-label-studio .podcast

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet uv==$(UV_VERSION)

.venv/installed-core: pyproject.toml constraints.txt | .venv/bin/uv
	$(UV) .venv --constraint constraints.txt --editable .
	touch $@

.venv/installed-detectors: .venv/installed-core
	$(UV) .venv --constraint constraints.txt --editable '.[detectors]'
	touch $@

# label-studio-ml's own pins hold back Flask to versions with known holes, so it is installed without them (docs/adr/0002).
.venv/installed: .venv/installed-core
	$(UV) .venv --constraint constraints.txt --editable '.[dev]'
	$(UV) .venv --constraint constraints.txt --no-deps label-studio-ml
	touch $@

.venv-label-studio/installed: demo/constraints-label-studio.txt | .venv/bin/uv
	$(PYTHON) -m venv .venv-label-studio
	$(UV) .venv-label-studio --constraint $< label-studio whitenoise brotli
	.venv-label-studio/bin/python -m whitenoise.compress --quiet .venv-label-studio/lib/python3*/site-packages/web/dist/apps/labelstudio map
	touch $@
