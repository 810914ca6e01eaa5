#!/bin/sh
# The Docker registry with its S3 driver: an image's layer and manifest, pushed and pulled as Docker does.
. "$(dirname "$0")/lib.sh"
need docker-registry
need aws
aws --endpoint-url "$S3_URL" s3 mb s3://registry >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >config.yml <<EOF
version: 0.1
storage:
  s3:
    accesskey: $AWS_ACCESS_KEY_ID
    secretkey: $AWS_SECRET_ACCESS_KEY
    region: $AWS_REGION
    regionendpoint: $S3_URL
    bucket: registry
    secure: false
    v4auth: true
    chunksize: 5242880
    rootdirectory: /images
  delete:
    enabled: true
  redirect:
    disable: true
http:
  addr: 127.0.0.1:$port
EOF
docker-registry serve config.yml >registry.log 2>&1 &
registry=$!
trap 'kill $registry 2>/dev/null || true' EXIT
base=http://127.0.0.1:$port
curl -sS --retry 50 --retry-connrefused --retry-delay 1 -o answer "$base/v2/"

blob() { # file: pushes it in two pieces, as Docker does with large layers; prints its digest
    digest=sha256:$(sha256sum "$1" | cut -d' ' -f1)
    head -c 6000000 "$1" >first
    tail -c +6000001 "$1" >second
    url=$(curl -sS -D - -o answer -X POST "$base/v2/app/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    for piece in first second; do
        url=$(curl -sS -D - -o answer -X PATCH -H 'Content-Type: application/octet-stream' --data-binary @$piece "$url" |
            tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    done
    [ "$(curl -sS -o answer -w '%{http_code}' -X PUT "$url&digest=$digest")" = 201 ] || fail "$(cat answer registry.log)"
    echo "$digest"
}

head -c 20000000 /dev/urandom >layer
printf '{}' >config.json
layer=$(blob layer)
config=$(blob config.json)
type=application/vnd.docker.distribution.manifest.v2+json
cat >manifest <<EOF
{"schemaVersion":2,"mediaType":"$type",
"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,"digest":"$config"},
"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":20000000,"digest":"$layer"}]}
EOF
pushed=$(curl -sS -o answer -w '%{http_code}' -X PUT -H "Content-Type: $type" --data-binary @manifest "$base/v2/app/manifests/one")
[ "$pushed" = 201 ] || fail "$(cat answer registry.log)"
curl -sS -H "Accept: $type" -o pulled "$base/v2/app/manifests/one"
cmp manifest pulled
curl -sS -o pulled "$base/v2/app/blobs/$layer"
cmp layer pulled
curl -sS "$base/v2/app/tags/list" | grep -q '"one"' || fail "the tag is not listed"
curl -sS "$base/v2/_catalog" | grep -q '"app"' || fail "the image is not listed"
