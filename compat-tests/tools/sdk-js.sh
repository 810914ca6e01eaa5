#!/bin/sh
# The AWS SDK for JavaScript v3, over TLS: ../sdks/js.
. "$(dirname "$0")/lib.sh"
need_language node
built js/suite.mjs
NODE_EXTRA_CA_CERTS=$S3_CA node "$CACHE/sdks/js/suite.mjs"
