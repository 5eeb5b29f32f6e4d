# make run    the server and the page, on this machine
# make test   every test, and the linters          make fast   the linters and the tests that take about a minute
# make lint   format and check                     make docs   the documentation, in build/site
# PYTHON      the interpreter that makes the environment (3.11 or newer)
# TORCH_INDEX where PyTorch's CPU build is taken from; see scripts/bootstrap.py
PYTHON ?= python3
TEST_EXTRAS = serve page mcp client train batch openvino video telemetry docs test
FAST_TESTS = $(addprefix tests/,config datasets docs exporters images masks service structures visualize)

.PHONY: run test fast lint check docs clean

define bootstrap
	@command -v $(PYTHON) >/dev/null || { echo "make: '$(PYTHON)' was not found. Install Python 3.11 or newer, or name it: make $@ PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py $(1)
endef

run:
	$(call bootstrap,serve page openvino-runtime)
	@exec .venv/bin/pointrend up $(ARGS)

# The whole suite in two processes, a part of it in one; ARGS="-n 0" for one in any case.
test:
	$(call bootstrap,$(TEST_EXTRAS))
	@$(MAKE) --no-print-directory check
	.venv/bin/pytest -n auto $(ARGS)

fast:
	$(call bootstrap,$(TEST_EXTRAS))
	@$(MAKE) --no-print-directory check
	.venv/bin/pytest -m "not (server or browser or nginx or container or slow)" $(FAST_TESTS) $(ARGS)

# What CI asks of the code besides the tests; changes nothing.
check:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/codespell
	.venv/bin/mypy
	.venv/bin/lint-imports

lint:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	.venv/bin/codespell
	.venv/bin/mypy
	.venv/bin/lint-imports

docs:
	$(call bootstrap,docs)
	.venv/bin/mkdocs build
	@echo "Open build/site/index.html"

clean:
	rm -rf .venv build dist *.egg-info model_store/*.mar
