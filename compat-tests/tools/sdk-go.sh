#!/bin/sh
# The AWS SDK for Go v2, over TLS: ../sdks/go.
. "$(dirname "$0")/lib.sh"
need_language go
built go/suite
SSL_CERT_FILE=$S3_CA "$CACHE/sdks/go/suite"
