#!/bin/sh
# minio-go with trailing checksums: ../sdks/minio-go.
. "$(dirname "$0")/lib.sh"
need_language go
built minio-go/suite
"$CACHE/sdks/minio-go/suite"
