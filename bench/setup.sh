#!/bin/sh
# Makes .venv with the reference implementations that bench/ and test/parity/ compare with.
set -e
cd "$(dirname "$0")/.."
python3 -m venv .venv
.venv/bin/pip install -q torch==2.13.0 numpy transformers safetensors
