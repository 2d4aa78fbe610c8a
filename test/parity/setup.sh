#!/bin/sh
# Makes the Python environment of the parity tests in .venv; does nothing if it is already complete.
set -eu
cd "$(dirname "$0")/../.."

if [ ! -x .venv/bin/python ]; then
  "${PYTHON:-python3}" -m venv .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r test/parity/requirements.txt
# For the English data of NLTK's Punkt inside it; none of what it depends on is needed.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llama-index-core==0.14.25
.venv/bin/python -c 'import torch, transformers; print("parity tests: torch", torch.__version__, "transformers", transformers.__version__)'
