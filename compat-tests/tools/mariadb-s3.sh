#!/bin/sh
# MariaDB's S3 engine: a table moves into the store, is read from there, and comes back.
. "$(dirname "$0")/lib.sh"
need mariadbd
need mariadb
plugin=$(find "$CACHE/debs" /usr/lib/mysql -name ha_s3.so 2>/dev/null | head -1)
[ -n "$plugin" ] || { echo "ha_s3.so is not there" >&2; exit 77; }
host=${S3_URL#http://}
mkdir data plugins
cp "$plugin" plugins/
make_bucket mariadb
mariadb-install-db --no-defaults --datadir="$PWD/data" --auth-root-authentication-method=normal --user="$(id -un)" >log 2>&1 || fail "$(cat log)"
mariadbd --no-defaults --datadir="$PWD/data" --user="$(id -un)" --socket="$PWD/socket" --pid-file="$PWD/pid" --skip-networking \
    --plugin-dir="$PWD/plugins" --plugin-maturity=alpha --plugin-load-add=ha_s3.so --s3=ON --s3-bucket=mariadb --s3-host-name="${host%:*}" --s3-port="${host#*:}" \
    --s3-use-http=ON --s3-protocol-version=Path --s3-access-key="$AWS_ACCESS_KEY_ID" --s3-secret-key="$AWS_SECRET_ACCESS_KEY" \
    --s3-region="$AWS_REGION" >server.log 2>&1 &
server=$!
trap 'kill $server; wait $server || true' EXIT
sql() { mariadb --no-defaults --socket="$PWD/socket" --batch --skip-column-names -u root -e "$1" "${2:-mysql}" 2>>log; }
tries=0
until sql 'SELECT 1' >/dev/null; do
    kill -0 $server 2>/dev/null || fail "$(cat server.log)"
    tries=$((tries + 1)); [ $tries -lt 300 ] || fail "no answer: $(cat server.log)"
    sleep 0.1
done
sql "CREATE DATABASE d; CREATE TABLE d.t (n INT PRIMARY KEY, text VARCHAR(200)) ENGINE=Aria CHARACTER SET utf8mb3; INSERT INTO d.t SELECT seq, REPEAT(MD5(seq), 6) FROM d.seq_1_to_30000" \
    || fail "$(cat log)"
before=$(sql 'CHECKSUM TABLE d.t')
sql 'ALTER TABLE d.t ENGINE=S3' || fail "$(cat log server.log)"
sql 'FLUSH TABLES'
[ "$(sql 'CHECKSUM TABLE d.t')" = "$before" ] || fail "another checksum in the store"
[ "$(sql 'SELECT COUNT(*) FROM d.t WHERE text = REPEAT(MD5(n), 6)')" = 30000 ] || fail "$(cat log)"
sql 'ALTER TABLE d.t ENGINE=Aria' || fail "$(cat log)"
[ "$(sql 'CHECKSUM TABLE d.t')" = "$before" ] || fail "another checksum back home"
sql 'DROP DATABASE d' || fail "$(cat log)"
