#!/bin/sh
# rclone: copy, sync, check by MD5, server-side copies, dates kept in metadata.
. "$(dirname "$0")/lib.sh"
need rclone
export RCLONE_CONFIG=/dev/null
export RCLONE_CONFIG_JS_TYPE=s3 RCLONE_CONFIG_JS_PROVIDER=Other RCLONE_CONFIG_JS_ENV_AUTH=true
export RCLONE_CONFIG_JS_ENDPOINT="$S3_URL" RCLONE_CONFIG_JS_ACL=private
export RCLONE_S3_CHUNK_SIZE=5M RCLONE_S3_UPLOAD_CUTOFF=6M
make_tree here

rclone mkdir js:rclone
rclone copy here js:rclone/tree
rclone check here js:rclone/tree
rclone check --download here js:rclone/tree
rclone copy js:rclone/tree js:rclone/copy
rclone sync js:rclone/copy back
# Directories are no objects.
mkdir -p back/empty
same here back
printf 'changed' >here/hello.txt
rclone sync here js:rclone/tree
[ "$(rclone cat js:rclone/tree/hello.txt)" = changed ] || fail "sync"
[ "$(rclone lsf -R --files-only js:rclone/tree | wc -l)" = 6 ] || fail "$(rclone lsf -R js:rclone)"
rclone moveto js:rclone/tree/hello.txt js:rclone/moved.txt
[ "$(rclone cat js:rclone/moved.txt)" = changed ] || fail "moveto"
printf 'piped' | rclone rcat js:rclone/piped
[ "$(rclone cat js:rclone/piped)" = piped ] || fail "rcat"
rclone purge js:rclone
