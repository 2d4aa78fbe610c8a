#!/bin/sh
# Makes the Python environment of the benchmarks in .venv: that of the parity tests and what is in requirements.txt here.
# `npm run bench:setup -- --llama` also builds llama.cpp.
set -eu
cd "$(dirname "$0")/.."

sh test/parity/setup.sh
install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check -c test/parity/requirements.txt "$@"; }
install -r bench/requirements.txt
if [ "${1:-}" = --llama ]; then
  install -r bench/requirements-llama.txt
fi
.venv/bin/python -c 'import peft, trl; print("benchmarks: trl", trl.__version__, "peft", peft.__version__)'
