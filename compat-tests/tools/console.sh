#!/bin/sh
# The console in Chromium: ../console, as `scripts/prepare console` installs it.
. "$(dirname "$0")/lib.sh"
need_language node
need chromium
[ -e "$CACHE/console/node_modules" ] || { echo "$CACHE/console is not installed" >&2; exit 77; }
cp "$(dirname "$0")"/../console/*.mjs .
ln -s "$CACHE/console/node_modules" node_modules
mkdir files
WORK=$WORK/files node "${SUITE:-suite}.mjs"
