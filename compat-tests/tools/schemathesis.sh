#!/bin/sh
# schemathesis makes requests of the served document, right ones and wrong ones: none is answered with 5xx, and every answer is as the document
# says. The run is bounded and always the same; SEED, EXAMPLES and PHASES ask for another.
. "$(dirname "$0")/lib.sh"
[ -e "$CACHE/openapi/bin/schemathesis" ] || {
    echo "schemathesis is not there" >&2
    exit 77
}
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance

try() { # document, more
    document=$1
    shift
    "$CACHE/openapi/bin/schemathesis" --config-file "$(dirname "$0")/schemathesis.toml" run "$NATIVE_URL/v1/$document.json" \
        --header "Authorization: Bearer $TOKEN" --checks $checks --phases "${PHASES:-examples,coverage,fuzzing}" --seed "${SEED:-1}" \
        --max-examples "${EXAMPLES:-2}" --continue-on-failure --no-color "$@" >log 2>&1 ||
        fail "$document: $(sed -n '/= FAILURES =/,$p' log | cut -c -600) $(tail -n 5 log)"
    # It finds the ids of credentials in answers, and would end its own.
    curl -fsS -o /dev/null -H "Authorization: Bearer $TOKEN" "$NATIVE_URL/v1/admin/whoami" || fail "$document: the credential ended"
}

ends_credentials="admin_revoke_credential admin_rotate_credential"
without="" only=""
for operation in $ends_credentials; do
    without="$without --exclude-operation-id $operation" only="$only --include-operation-id $operation"
done
# shellcheck disable=SC2086
try openapi $without
grep -q '^ *Tested: [4-9][0-9]' log || fail "few operations were tried: $(cat log)"
# shellcheck disable=SC2086
try openapi-3.0 $without --phases examples,coverage
# shellcheck disable=SC2086
try openapi $only --phases coverage
