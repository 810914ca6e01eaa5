#!/bin/sh
# barman-cloud: write-ahead log is archived and restored, and listed backups are none yet.
. "$(dirname "$0")/lib.sh"
need barman-cloud-wal-archive
make_bucket barman
mkdir -p pg_wal back
name=000000010000000000000001
head -c 16777216 /dev/urandom >pg_wal/$name
barman-cloud-check-wal-archive --cloud-provider aws-s3 --endpoint-url "$S3_URL" s3://barman/cluster main || fail "check"
barman-cloud-wal-archive --cloud-provider aws-s3 --endpoint-url "$S3_URL" --gzip s3://barman/cluster main pg_wal/$name || fail "archive"
barman-cloud-wal-restore --cloud-provider aws-s3 --endpoint-url "$S3_URL" s3://barman/cluster main $name "$PWD/back/wal" || fail "restore"
cmp pg_wal/$name back/wal || fail "other bytes"
barman-cloud-backup-list --cloud-provider aws-s3 --endpoint-url "$S3_URL" s3://barman/cluster main || fail "list"
