#!/usr/bin/env bash
# Make the virtual environment with the pinned versions: scripts/setup.sh PYTHON VENV
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$2

fail() { echo "set-up: $1" >&2; exit 1; }

command -v "$python" >/dev/null || fail "$python not found; install Python 3.11 or later"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old; give a Python 3.11 or later: make PYTHON=python3.12 …"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  fail "this Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"

[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
echo "set-up: installing the pinned packages into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .

if grep -q '^lightgbm' requirements.lock && [ "$(uname)" = Darwin ] && [ ! -e /opt/homebrew/opt/libomp ] && [ ! -e /usr/local/opt/libomp ]; then
  echo "set-up: LightGBM needs libomp on macOS: brew install libomp" >&2
fi
