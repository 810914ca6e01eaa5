#!/bin/sh
# git-annex: a special remote with parts (which it makes a little smaller than it is told), verified when it is fetched, and a
# region that AWS has not.
. "$(dirname "$0")/lib.sh"
need git-annex
need git
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
host=${S3_URL#http://}
mkdir repository && cd repository
git init -q . && git annex init -q here
head -c 15000000 /dev/urandom >large.bin
printf 'hello' >'a b+c.txt'
git annex add -q . && git commit -qm first
git config annex.security.allowed-ip-addresses all
git annex initremote store type=S3 encryption=none host="${host%:*}" port="${host#*:}" protocol=http requeststyle=path \
    signature=v4 datacenter=RegionOne bucket=git-annex-js partsize=6MiB chunk=0 >log 2>&1 || fail "$(cat log)"
git annex copy -q --to=store || fail "copy"
git annex fsck -q --from=store || fail "fsck"
sha256sum large.bin 'a b+c.txt' >sums
git annex drop -q . || fail "drop"
[ ! -e large.bin ] || fail "large.bin is still there"
git annex get -q . || fail "get"
sha256sum --quiet -c sums || fail "other bytes"
git annex drop -q --from=store . || fail "drop from the store"
