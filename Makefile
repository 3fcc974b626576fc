# Two commands for a fresh Debian or Ubuntu machine with make and Python >= 3.11:
#   make demo    see it work on simulated cines and on a real one (offline once installed, CPU)
#   make test    run the tests
# Both install everything they need into $(VENV) first.

VENV ?= .venv
BIN := $(VENV)/bin
# Two processes with one thread each: torch's threads of several processes on few cores would wait for each other.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 8 ] && echo $$n || echo 8)

.PHONY: demo test check setup lock clean

demo: $(VENV)/.ready
	$(BIN)/echoseg demo -o demo-out

test: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml scripts/setup
	scripts/setup $(VENV)
	touch $@

# Needs uv; resolves the newest versions that pyproject.toml allows, for every platform and Python >= 3.11.
lock:
	uv pip compile pyproject.toml --all-extras --group build --universal --python-version 3.11 \
	  --no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf $(VENV) demo-out
