#!/bin/sh
# Makes the Python environment of the parity tests in .venv; does nothing if it is already complete.
set -eu
cd "$(dirname "$0")/../.."

if [ ! -x .venv/bin/python ]; then
  "${PYTHON:-python3}" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r test/parity/requirements.txt
.venv/bin/python -c 'import torch, transformers; print("parity tests: torch", torch.__version__, "transformers", transformers.__version__)'
