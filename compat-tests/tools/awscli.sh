#!/bin/sh
# The AWS command: transfers in parts, sync both ways, copies, presigned URLs.
. "$(dirname "$0")/lib.sh"
need aws
export AWS_ENDPOINT_URL="$S3_URL"
# Version 1 of the command presigns with Signature Version 2 unless told otherwise.
export AWS_CONFIG_FILE="$WORK/config"
printf '[default]\ns3 =\n    signature_version = s3v4\n' >"$AWS_CONFIG_FILE"
make_tree here

aws s3 mb s3://awscli
aws s3 cp --quiet --recursive here s3://awscli/tree
aws s3 sync here s3://awscli/tree | grep . && fail "a second sync had something to do"
aws s3 cp --quiet --recursive s3://awscli/tree s3://awscli/copy
aws s3 sync --quiet s3://awscli/copy back
same here back
printf 'changed' >here/hello.txt
rm "here/dir one/deep/file"
aws s3 sync --quiet --delete here s3://awscli/tree
[ "$(aws s3 ls --recursive s3://awscli/tree | wc -l)" = 5 ] || fail "sync --delete left something"
[ "$(curl -sS "$(aws s3 presign s3://awscli/tree/hello.txt)")" = changed ] || fail "presigned URL"
printf 'piped' | aws s3 cp - s3://awscli/piped
[ "$(aws s3 cp s3://awscli/piped -)" = piped ] || fail "a pipe"
aws s3api put-object --bucket awscli --key once --if-none-match '*' >/dev/null
aws s3api put-object --bucket awscli --key once --if-none-match '*' 2>refusal && fail "a second put succeeded"
grep -q PreconditionFailed refusal || fail "$(cat refusal)"

say "a bucket policy"
status() { curl -sS -o /dev/null -w '%{http_code}' "$S3_URL/awscli/$1"; }
printf 'public' | aws s3 cp - s3://awscli/open/page
[ "$(status open/page)" = 403 ] || fail "readable without a signature before there is a policy"
cat >policy.json <<EOF
{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::awscli/open/*"}
  ]
}
EOF
aws s3api put-bucket-policy --bucket awscli --policy file://policy.json
[ "$(curl -sS "$S3_URL/awscli/open/page")" = public ] || fail "the policy does not make the object public"
[ "$(status piped)" = 403 ] || fail "the policy opens more than its resource"
[ "$(aws s3api get-bucket-policy --bucket awscli --query Policy --output text)" = "$(cat policy.json)" ] ||
    fail "the policy does not read back"
[ "$(aws s3api get-bucket-policy-status --bucket awscli --query PolicyStatus.IsPublic --output text)" = True ] ||
    fail "the policy is not public"
sed 's/Effect/Effects/' policy.json >broken.json
aws s3api put-bucket-policy --bucket awscli --policy file://broken.json 2>refusal && fail "a broken policy was set"
grep -q MalformedPolicy refusal || fail "$(cat refusal)"
aws s3api delete-bucket-policy --bucket awscli
[ "$(status open/page)" = 403 ] || fail "still public without a policy"

aws s3 rm --quiet --recursive s3://awscli
aws s3 rb s3://awscli
