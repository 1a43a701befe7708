#!/usr/bin/env bash
# `make lock`: resolve pyproject.toml, with the development tools and what builds the package, into requirements.lock.
# Every wheel of every version is hashed, so the lock serves every supported Python; addresses are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/venv"
"$scratch/venv/bin/pip" --disable-pip-version-check --quiet install pip-tools
"$scratch/venv/bin/pip-compile" --quiet --upgrade --extra dev --all-build-deps --allow-unsafe --strip-extras --generate-hashes \
    --no-annotate --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
    --output-file "$scratch/lock" pyproject.toml
{
    echo "# Made by \`make lock\` from pyproject.toml (dependencies, development tools, build tools). Do not edit."
    sed '/^#/d; /^ *$/d' "$scratch/lock"
} > "$scratch/clean"
mv "$scratch/clean" requirements.lock
