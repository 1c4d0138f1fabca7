#!/usr/bin/env bash
# Find or get a Chrome, with which charts become static images: scripts/browser.sh PYTHON
# Without one the report is complete, and its PDF shows each figure's data as a table.
set -euo pipefail
python=$1

found() {
  [ -x "${BROWSER_PATH:-}" ] ||
    "$python" -c 'import sys; from choreographer.browsers.chromium import Chromium; sys.exit(not Chromium.find_browser(skip_local=False))'
}

as_root() {
  command -v apt-get >/dev/null || return
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

found 2>/dev/null && exit
echo "looking for a Chrome to draw static images with"
as_root apt-get update -qq >/dev/null 2>&1 &&
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null 2>&1 && exit
timeout 300 "$(dirname "$python")/plotly_get_chrome" -y >/dev/null 2>&1 && exit
echo "no Chrome: the PDF will show tables in place of charts (install chromium or Google Chrome to have them)"
