#!/bin/sh
# mc: copies, and public reads by `mc anonymous`, which sets bucket policies.
. "$(dirname "$0")/lib.sh"
need mc
mc() { command mc --config-dir "$WORK/mc" --quiet --no-color "$@"; }
mc alias set store "$S3_URL" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" --api S3v4 --path on >/dev/null || fail "alias"
mc mb store/public >/dev/null
make_tree here
rm -rf here/empty
mc cp --recursive here/ store/public/tree/ >/dev/null
mc cp --recursive store/public/tree/ back/ >/dev/null
same here back
status() { curl -s -o "$WORK/body" -w '%{http_code}' "$S3_URL/$1"; }

say "private at first"
[ "$(status public/tree/hello.txt)" = 403 ] || fail "a stranger reads a private bucket"
mc anonymous get store/public | grep -q private || fail "get: private"

say "download"
mc anonymous set download store/public >/dev/null || fail "set download"
mc anonymous get store/public | grep -q download || fail "get: download"
[ "$(status public/tree/hello.txt)" = 200 ] || fail "a stranger does not read a public object"
[ "$(cat "$WORK/body")" = hello ] || fail "other bytes"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X PUT -d x "$S3_URL/public/new")" = 403 ] || fail "a stranger writes"
mc anonymous list store/public | grep -q 'readonly\|download' || fail "list"
mc anonymous get-json store/public | grep -q 's3:GetObject' || fail "get-json"

say "of one folder"
mc anonymous set none store/public >/dev/null || fail "set none"
[ "$(status public/tree/hello.txt)" = 403 ] || fail "a stranger still reads"
mc anonymous set download store/public/tree/ >/dev/null || fail "set download of a folder"
printf 'secret' | mc pipe store/public/other >/dev/null
[ "$(status public/tree/hello.txt)" = 200 ] || fail "a stranger does not read the folder"
[ "$(status public/other)" = 403 ] || fail "a stranger reads beside the folder"

say "upload and public"
mc anonymous set upload store/public/drop/ >/dev/null || fail "set upload"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X PUT -d x "$S3_URL/public/drop/new")" = 200 ] || fail "a stranger does not write"
[ "$(status public/drop/new)" = 403 ] || fail "a stranger reads what it may only write"
mc anonymous set none store/public >/dev/null
mc anonymous set none store/public/tree/ >/dev/null
mc anonymous set none store/public/drop/ >/dev/null
mc anonymous get store/public | grep -q private || fail "get: private again"
[ "$(status public/tree/hello.txt)" = 403 ] || fail "a stranger reads at the end"
mc rb --force store/public >/dev/null
