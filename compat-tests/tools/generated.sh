#!/bin/sh
# A client that a generator makes of the document that the server serves, by the commands of docs/api.md (COMMANDS, and SCRIPT where they need
# one); then ../generated/$GENERATED moves bytes with it. `scripts/prepare generators` installs the generators.
. "$(dirname "$0")/lib.sh"

# From the cache, where `scripts/prepare generators` put it.
there() {
    [ -e "$CACHE/$1" ] && return
    echo "$CACHE/$1 is not there" >&2
    exit 77
}

suite() { cp -r "$(dirname "$0")/../generated/$GENERATED/." .; }
generate() { sh -euc "$COMMANDS" >log 2>&1 || fail "the generator: $(cat log)"; }

suite
case $GENERATED in
python)
    there openapi/bin/openapi-python-client
    PATH=$CACHE/openapi/bin:$PATH
    generate
    PYTHONPATH=. python suite.py
    ;;
typescript)
    need_language node
    there generated/typescript/node_modules
    ln -s "$CACHE/generated/typescript/node_modules" .
    printf '%s' "$SCRIPT" >generate.mjs
    generate
    node_modules/.bin/tsc
    node built/suite.js
    ;;
go)
    need_language go
    need_language java
    there generated/openapi-generator-cli-7.17.0.jar
    ln -s "$CACHE/generated/openapi-generator-cli-7.17.0.jar" openapi-generator-cli.jar
    export GOMODCACHE="$CACHE/generated/go-modules" GOCACHE="$CACHE/generated/go-build" GOFLAGS="-mod=readonly -modcacherw"
    generate
    go build -o suite .
    ./suite
    ;;
rust)
    need_language cargo
    generate
    # Its dependencies are compiled once; the client is a quarter of a minute.
    CARGO_TARGET_DIR=$CACHE/generated/rust cargo build --quiet --locked
    "$CACHE/generated/rust/debug/suite"
    ;;
*) fail "no client $GENERATED" ;;
esac
