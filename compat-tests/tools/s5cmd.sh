#!/bin/sh
# s5cmd: many copies at once, wildcards, synchronisation, deletion of many.
. "$(dirname "$0")/lib.sh"
need s5cmd
s5() { s5cmd --endpoint-url "$S3_URL" --log error "$@"; }
make_tree here
s5 mb s3://s5cmd
s5 cp --part-size 5 here/ s3://s5cmd/tree/
s5 cp 's3://s5cmd/tree/*' back/
rm -rf back/empty here/empty
same here back
[ "$(s5cmd --endpoint-url "$S3_URL" ls "s3://s5cmd/tree/dir one/*" | wc -l)" = 2 ] || fail "ls"
printf 'changed' >here/hello.txt
s5 sync here/ s3://s5cmd/tree/
[ "$(s5 cat s3://s5cmd/tree/hello.txt)" = changed ] || fail "sync"
s5 mv s3://s5cmd/tree/hello.txt s3://s5cmd/moved.txt
[ "$(s5 cat s3://s5cmd/moved.txt)" = changed ] || fail "mv"
printf 'piped' | s5 pipe s3://s5cmd/piped
[ "$(s5 cat s3://s5cmd/piped)" = piped ] || fail "pipe"
s5 rm 's3://s5cmd/*'
s5 rb s3://s5cmd
