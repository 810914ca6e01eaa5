# What the scenarios share. The harness (../src/tools.rs) sets S3_URL, S3_CA (with TLS), CACHE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
# AWS_REGION and WORK, an empty directory that goes afterwards, and runs in it.
# shellcheck shell=sh
set -eu

say() { echo "--- $*"; }

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Exit status 77: the tool is not there. The harness decides whether that is a failure.
need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "$1 is not installed" >&2
    exit 77
}

# A tree with names that trip clients up, and a file that is sent in parts.
make_tree() {
    mkdir -p "$1/dir one/deep" "$1/ünïcode" "$1/empty"
    printf 'hello' >"$1/hello.txt"
    : >"$1/empty/zero"
    printf 'plus' >"$1/dir one/a+b&c=d%20e.txt"
    printf 'deep' >"$1/dir one/deep/file"
    printf 'kanji' >"$1/ünïcode/日本語.txt"
    head -c 20000000 /dev/urandom >"$1/large.bin"
}

# An empty bucket, by the `aws` command.
make_bucket() {
    aws --endpoint-url "$S3_URL" s3api create-bucket --bucket "$1" >/dev/null || fail "bucket $1"
}

same() { diff -r "$1" "$2" || fail "$1 and $2 differ"; }

# Exit status 78: what no registry installs, a language or Terraform. Failure only where CI runs.
need_language() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "$1 is not installed" >&2
    exit 78
}

# What `scripts/prepare sdks` builds of ../sdks, into the cache.
built() {
    [ -e "$CACHE/sdks/$1" ] && return
    echo "$CACHE/sdks/$1 is not built" >&2
    exit 77
}
