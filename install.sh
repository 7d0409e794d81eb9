#!/usr/bin/env bash
# Makes a virtual environment and installs offclip into it, in the versions that were tested.
# Usage: ./install.sh PYTHON VENV TARGET [CONSTRAINTS]      e.g. ./install.sh python3 .venv ".[dev]"
set -euo pipefail
python=$1 venv=$2 target=$3 constraints=${4:-constraints.txt}

fail() { echo "install: $1" >&2; exit 2; }
command -v "$python" >/dev/null || fail "no '$python' here. Install Python 3.11 or later, or set PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old. Set PYTHON to a 3.11 or later, as in: PYTHON=python3.12 make demo"

echo "Installing offclip into $venv. On Linux the registry's torch brings CUDA with it (several GB); it runs on CPUs, too."
if command -v uv >/dev/null; then
  [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
  uv pip install --quiet --python "$venv/bin/python" -c "$constraints" -e "$target"
else
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" ||
    fail "could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv"
  "$venv/bin/python" -m pip install --quiet -c "$constraints" -e "$target"
fi
