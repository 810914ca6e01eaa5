#!/bin/sh
# The AWS SDK for JavaScript v2: ../sdks/js-v2.
. "$(dirname "$0")/lib.sh"
need_language node
built js-v2/suite.js
node "$CACHE/sdks/js-v2/suite.js"
