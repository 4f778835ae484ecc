#!/bin/sh
# Sign up, open a Space and read the timeline: sh timeline.sh URL HANDLE TITLE
set -eu
cd "$(dirname "$0")"
url=$1 handle=$2
title=$(printf %s "$3" | sed 's/[\\"]/\\&/g') # as JSON has it

# ask NAME VARIABLES [curl's words]: send operations/NAME.graphql.
ask() {
    query=$(tr '\n' ' ' <"operations/$1.graphql")
    body="{\"query\": \"$query\", \"variables\": $2}"
    shift 2
    curl --silent --show-error --fail-with-body "$url" --header 'Content-Type: application/json' --data "$body" "$@"
}

signed=$(ask SignUp "{\"input\": {\"handle\": \"$handle\", \"name\": \"$handle\", \"password\": \"correct horse\"}}")
token=$(printf %s "$signed" | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
if [ -z "$token" ]; then
    echo "$signed" >&2
    exit 1
fi
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# The same key and the same request have the same answer, for a day: send it again when in doubt.
for _ in first again; do
    ask CreateSpace "{\"input\": {\"title\": \"$title\"}}" \
        --header "Authorization: Bearer $token" --header "Idempotency-Key: $key"
    echo
done
ask Timeline '{"first": 5}' --header "Authorization: Bearer $token"
