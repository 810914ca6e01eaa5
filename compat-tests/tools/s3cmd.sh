#!/bin/sh
# s3cmd: an old client's ways, with version 4 signatures.
. "$(dirname "$0")/lib.sh"
need s3cmd
host=${S3_URL#http://}
s3() {
    s3cmd --config=/dev/null --access_key="$AWS_ACCESS_KEY_ID" --secret_key="$AWS_SECRET_ACCESS_KEY" \
        --host="$host" --host-bucket="$host" --no-ssl --region="$AWS_REGION" --multipart-chunk-size-mb=5 \
        --no-progress "$@"
}
make_tree here

s3 mb s3://s3cmd
s3 sync here/ s3://s3cmd/tree/
s3 sync s3://s3cmd/tree/ back/
mkdir -p back/empty
same here back
s3 info s3://s3cmd/tree/hello.txt | grep -q 5d41402abc4b2a76b9719d911017c592 || fail "info shows no MD5"
s3 info s3://s3cmd >/dev/null
s3 cp s3://s3cmd/tree/large.bin s3://s3cmd/copied
s3 get s3://s3cmd/copied copied
cmp here/large.bin copied
s3 modify --add-header='x-amz-meta-a:b' s3://s3cmd/tree/hello.txt
s3 mv s3://s3cmd/tree/hello.txt s3://s3cmd/moved
[ "$(s3 ls -r s3://s3cmd/ | wc -l)" = 7 ] || fail "$(s3 ls -r s3://s3cmd/)"
s3 del --recursive --force s3://s3cmd/
s3 rb s3://s3cmd
