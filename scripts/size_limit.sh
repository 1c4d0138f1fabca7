#!/usr/bin/env bash
# Fail on a file above 1 MB: data and rendered reports do not belong in git.
set -euo pipefail
large=$(find "$@" -maxdepth 0 -type f -size +1024k)
[ -z "$large" ] || { printf 'larger than 1 MB:\n%s\n' "$large" >&2; exit 1; }
