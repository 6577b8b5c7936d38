# The words a developer types; .ci/run calls `make check test`. Every path is relative, so a folder with spaces works.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test test-mobile check docs bench clean
.DEFAULT_GOAL := demo

demo: .venv/demo.stamp  ## environment, install, and the main job on the synthetic corpus
	$(BIN)/featkit demo

test: .venv/test.stamp  ## environment with the test extras, and the whole suite
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-mobile: .venv-mobile/stamp  ## the TFLite forms, whose converter needs an environment of its own
	.venv-mobile/bin/python -m pytest -p no:anyio tests/deploy/test_tflite.py

check: .venv/test.stamp  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks/*.py

docs: .venv/docs.stamp  ## the documentation site, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html; with search: $(BIN)/mkdocs serve"

# The folder with emodb/ and ravdess/, as for the tests.
DATA ?= $(or $(FEATKIT_DATA),../shared/data)
CORPORA := $(foreach name,emodb ravdess,$(if $(wildcard $(DATA)/$(name)),--data "$(name):$(DATA)/$(name)"))

bench: .venv/test.stamp  ## speed against librosa and the training libraries in one interleaved run, then the table of scores
	$(BIN)/python benchmarks/speed.py
	@$(if $(strip $(CORPORA)),$(BIN)/featkit benchmark benchmarks/table.yaml $(CORPORA) --jobs 2 -o benchmarks/results,\
		echo "No table of scores: there is neither emodb nor ravdess in '$(DATA)'. Name their folder: make bench DATA=PATH")

clean:  ## remove the environment and everything that is made
	rm -rf .venv .venv-mobile build dist .mypy_cache .pytest_cache .ruff_cache featkit-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing featkit into .venv (once; about 100 packages, 2.1 GB with torch) ..."
	$(PIP) --editable '.[all]'
	@touch $@

.venv/test.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing featkit and its test extras into .venv (once) ..."
	$(PIP) --editable '.[test]'
	@touch $@ .venv/demo.stamp

.venv/docs.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing featkit and what builds its documentation into .venv (once) ..."
	$(PIP) --editable '.[docs]'
	@touch $@

# The converter wants an older typing-extensions than constraints.txt has, so pip chooses the versions.
.venv-mobile/stamp: pyproject.toml
	@echo "Installing featkit with the converter for phones into .venv-mobile (once; about 2.3 GB) ..."
	$(PYTHON) -m venv .venv-mobile
	.venv-mobile/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[mobile,xgboost]' 'pytest>=8,<10' pytest-randomly hypothesis
	@touch $@
