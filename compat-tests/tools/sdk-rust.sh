#!/bin/sh
# The AWS SDK for Rust of August 2025: ../sdks/rust. Over TLS it sends the same; without, the suite sees what is sent.
. "$(dirname "$0")/lib.sh"
built rust/suite
"$CACHE/sdks/rust/suite"
