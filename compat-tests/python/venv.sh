#!/bin/sh
# Prints the path of a Python interpreter that has what requirements.txt names. Where the system's has not,
# makes a virtual environment for it, once, outside of the repository.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
has_sdk() { "$1" -c 'import boto3, awscrt' 2>/dev/null; }

if has_sdk python3; then
    command -v python3
    exit
fi

venv=${HOME:-/tmp}/.cache/juststorage/venv
mkdir -p "$(dirname "$venv")"
# Two test processes may come here at once; one makes it, the other waits.
exec 9>"$venv.lock"
flock 9
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt" || ! has_sdk "$venv/bin/python"; then
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
