#!/bin/sh
# s3fs-fuse: a bucket as a directory: written, renamed, listed, changed in the middle, with parts.
. "$(dirname "$0")/lib.sh"
need s3fs
[ -c /dev/fuse ] || { echo "no /dev/fuse here" >&2; exit 78; }
make_bucket s3fs-fuse
printf '%s:%s' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >passwd
chmod 600 passwd
mkdir mounted
s3fs s3fs-fuse mounted -o url="$S3_URL" -o use_path_request_style -o passwd_file="$PWD/passwd" -o endpoint="$AWS_REGION" \
    -o multipart_size=5 -o use_cache="" >log 2>&1 || { cat log >&2; echo "s3fs cannot mount here" >&2; exit 78; }
trap 'fusermount -u mounted 2>/dev/null || umount -l mounted' EXIT
make_tree here
cp -r here mounted/tree
diff -r here mounted/tree || fail "what was copied differs"
mv mounted/tree/hello.txt "mounted/tree/dir one/moved.txt"
[ "$(cat "mounted/tree/dir one/moved.txt")" = hello ] || fail "moved"
printf 'X' | dd of=mounted/tree/large.bin bs=1 seek=7000000 conv=notrunc 2>/dev/null
printf 'X' | dd of=here/large.bin bs=1 seek=7000000 conv=notrunc 2>/dev/null
cmp here/large.bin mounted/tree/large.bin || fail "changed in the middle"
rm -r mounted/tree
[ -z "$(ls mounted)" ] || fail "$(ls mounted)"
