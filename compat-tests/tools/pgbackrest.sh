#!/bin/sh
# pgBackRest with an S3 repository, which speaks TLS only: archive, full and incremental backup, restore.
. "$(dirname "$0")/lib.sh"
need pgbackrest
need aws
programs=$(find /usr/lib/postgresql -name bin -type d 2>/dev/null | sort -V | tail -1)
[ -n "$programs" ] || { echo "PostgreSQL's programs are not in /usr/lib/postgresql" >&2; exit 77; }
AWS_CA_BUNDLE=$S3_CA aws --endpoint-url "$S3_URL" s3 mb s3://pgbackrest >/dev/null

# The server refuses to run as root, and whoever it runs as must reach everything.
if [ "$(id -u)" = 0 ]; then
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
else
    as() { "$@"; }
fi
chmod 755 .
cp "$(command -v pgbackrest)" backrest
cp "$S3_CA" ca.pem
mkdir data log lock spool socket
# By name: it compares no certificate with an address.
cat >pgbackrest.conf <<EOF
[global]
repo1-type=s3
repo1-path=/repository
repo1-s3-bucket=pgbackrest
repo1-s3-endpoint=localhost
repo1-storage-port=${S3_URL##*:}
repo1-s3-region=$AWS_REGION
repo1-s3-key=$AWS_ACCESS_KEY_ID
repo1-s3-key-secret=$AWS_SECRET_ACCESS_KEY
repo1-s3-uri-style=path
repo1-storage-ca-file=$WORK/ca.pem
repo1-retention-full=1
repo1-bundle=y
log-path=$WORK/log
lock-path=$WORK/lock
spool-path=$WORK/spool
log-level-console=warn
start-fast=y
[main]
pg1-path=$WORK/data
pg1-socket-path=$WORK/socket
pg1-user=postgres
EOF
[ "$(id -u)" != 0 ] || chown -R postgres: .
backrest() { as "$WORK/backrest" --config="$WORK/pgbackrest.conf" --stanza=main "$@" || fail "pgbackrest $*: $(tail -n 30 log/* 2>/dev/null)"; }
sql() { as "$programs/psql" -h "$WORK/socket" -U postgres -Atqc "$1" postgres; }
start() { as "$programs/pg_ctl" -D data -w -s -l log/postgres start || fail "$(cat log/postgres)"; }
stop() { as "$programs/pg_ctl" -D data -w -s -m fast stop; }
trap 'stop 2>/dev/null || true' EXIT
as "$programs/initdb" -D data -U postgres -A trust >log/initdb
cat >>data/postgresql.conf <<EOF
listen_addresses = ''
unix_socket_directories = '$WORK/socket'
archive_mode = on
archive_command = '$WORK/backrest --config=$WORK/pgbackrest.conf --stanza=main archive-push %p'
EOF
start
say "archive and backup"
backrest stanza-create
backrest check
sql "CREATE TABLE kept AS SELECT n, md5(n::text) AS text FROM generate_series(1, 100000) n"
backrest --type=full backup
sql "INSERT INTO kept SELECT n, 'later' FROM generate_series(100001, 150000) n"
backrest --type=incr backup
sql "INSERT INTO kept VALUES (150001, 'only in the archive')"
before=$(sql "SELECT count(*), md5(string_agg(text, ',' ORDER BY n)) FROM kept")
sql "SELECT pg_switch_wal()" >/dev/null
stop
say "restore"
rm -rf data && mkdir data && chmod 700 data
[ "$(id -u)" != 0 ] || chown postgres: data
backrest restore
start
[ "$(sql "SELECT count(*), md5(string_agg(text, ',' ORDER BY n)) FROM kept")" = "$before" ] || fail "rows differ"
say "expire"
backrest --type=full backup
backrest expire
backrest info
