#!/usr/bin/env bash
# `make setup`: everything Striate needs, in .venv, from pinned and hashed packages. Running it again does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
stamp=.venv/.striate-setup

if ! command -v "$python" > /dev/null; then
    echo "sudo apt-get install -y python3 python3-venv"
    exit 1
fi
"$python" tools/check_system.py

key="$(cat requirements.lock pyproject.toml | sha256sum | cut -d ' ' -f 1) $PWD"
if [ -x .venv/bin/striate ] && [ "$(cat "$stamp" 2> /dev/null)" = "$key" ]; then
    touch "$stamp"
    exit 0
fi

say() { echo "setup: $*" >&2; }
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
rm -f "$stamp"
if ! .venv/bin/python -m pip --version > /dev/null 2>&1 || ! grep -qF "$PWD/.venv" .venv/bin/activate; then
    # none, half made, or made elsewhere and moved here
    say "making .venv"
    "$python" -m venv --clear .venv
fi
say "installing pinned packages (1.3 GB on disk)"
pip install --require-hashes -r requirements.lock
pip install --no-deps --no-build-isolation --editable .
.venv/bin/python -m striate.hw.toolchain setup
echo "$key" > "$stamp"
say "done in ${SECONDS} s"
