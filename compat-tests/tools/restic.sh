#!/bin/sh
# restic: backup, check of every byte, forget and prune, restore.
. "$(dirname "$0")/lib.sh"
need restic
export RESTIC_REPOSITORY="s3:$S3_URL/restic/repository" RESTIC_PASSWORD=secret RESTIC_CACHE_DIR="$WORK/cache"
export AWS_DEFAULT_REGION="$AWS_REGION"
make_tree here

restic init --quiet
restic backup --quiet here
printf 'changed' >here/hello.txt
head -c 6000000 /dev/urandom >here/large.bin
restic backup --quiet here
restic check --quiet --read-data
restic forget --quiet --keep-last 1 --prune
restic check --quiet --read-data
restic restore --quiet latest --target back
same here back/here
[ "$(restic snapshots --json | grep -o '"tree"' | wc -l)" = 1 ] || fail "$(restic snapshots)"
