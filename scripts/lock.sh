#!/usr/bin/env bash
# Write requirements.lock: what pip resolves for pyproject.toml in a clean environment: scripts/lock.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

"$1" -m venv "$clean"
"$clean/bin/python" -m pip install --quiet --disable-pip-version-check ".[dev]"
{
  echo "# Every version pinned. Made by \`make lock\` with $("$1" --version); do not edit."
  "$clean/bin/python" -m pip freeze --exclude patternbook
} >"$clean/requirements.lock"
mv "$clean/requirements.lock" requirements.lock
