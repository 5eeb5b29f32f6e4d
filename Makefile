# make run   the server and the page, on this machine     make test   every test
# PYTHON     the interpreter that makes the environment (3.11 or newer)
# TORCH_INDEX  where PyTorch's CPU build is taken from; see scripts/bootstrap.py
PYTHON ?= python3

.PHONY: run test lint clean

run:
	@command -v $(PYTHON) >/dev/null || { echo "make: '$(PYTHON)' was not found. Install Python 3.11 or newer, or name it: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py serve page
	@exec .venv/bin/pointrend up $(ARGS)

test:
	@command -v $(PYTHON) >/dev/null || { echo "make: '$(PYTHON)' was not found. Install Python 3.11 or newer, or name it: make test PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py serve page mcp client train batch openvino test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/pytest $(ARGS)

lint:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	.venv/bin/mypy
	.venv/bin/lint-imports

clean:
	rm -rf .venv build dist *.egg-info model_store/*.mar
