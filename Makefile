# Two commands do all the set-up: `make demo` and `make test`. Each makes .venv and installs what is missing.
#
#   PYTHON=python3.12 make demo        another interpreter (3.11 or later)
#   UV_TORCH_BACKEND=cpu make demo     with uv: the small CPU build of torch instead of the CUDA build

PYTHON ?= python3
VENV ?= .venv
ADAPTERS ?= .venv-adapters
DEMO ?= demo
BIN := $(VENV)/bin
ADAPTER_TESTS := tests/models/adapters tests/examples tests/losses/test_losses_open_clip.py \
	tests/images/test_preprocess_libraries.py tests/training/test_lora.py tests/training/test_recipes.py \
	tests/training/test_refining.py

# A configuration of pip that names a folder of wheels holds for uv, too.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: demo test test-adapters test-slow check install install-adapters clean

demo: $(VENV)/.core
	$(BIN)/offclip demo --out $(DEMO)

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile

# The models of other libraries: they need torchvision, and a torch that fits it, so they have their own home.
test-adapters: $(ADAPTERS)/.done
	OMP_NUM_THREADS=1 $(ADAPTERS)/bin/python -m pytest -q -n 2 --dist loadfile -m "slow or not slow" $(ADAPTER_TESTS)

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m slow

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

install: $(VENV)/.dev

$(VENV)/.core: pyproject.toml constraints.txt
	./install.sh "$(PYTHON)" "$(VENV)" .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	./install.sh "$(PYTHON)" "$(VENV)" ".[dev]"
	@touch $@ $(VENV)/.core

install-adapters: $(ADAPTERS)/.done

$(ADAPTERS)/.done: pyproject.toml constraints-adapters.txt
	./install.sh "$(PYTHON)" "$(ADAPTERS)" ".[test-adapters]" constraints-adapters.txt
	@touch $@

clean:
	rm -rf $(VENV) $(ADAPTERS) .pytest_cache .ruff_cache .hypothesis
