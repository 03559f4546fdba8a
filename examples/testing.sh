#!/bin/sh
# Tests a client that is a shell script. Needs postroom, curl and jq.
set -eu

folder=$(mktemp -d)
postroom serve --ephemeral --port 0 --seed "$(dirname "$0")/seed.json" --ready-file "$folder/ready.json" &
server=$!
trap 'kill "$server"; rm -rf "$folder"' EXIT
until [ -e "$folder/ready.json" ]; do kill -0 "$server" || exit 1; sleep 0.1; done
api=$(jq -r .api "$folder/ready.json")
controls=$(jq -r .controls "$folder/ready.json")

control() { # METHOD PATH JSON
    curl -sS --fail-with-body -o "$folder/answer.json" -X "$1" -H "Content-Type: application/json" -d "$3" "$controls$2" ||
        { cat "$folder/answer.json"; exit 1; }
}

# The client under test; the seed has its token.
is_away() { # USER
    answer=$(curl -sS --fail -H "Authorization: Bearer postroom_tests" "$api/service/oof/$1") &&
        echo "$answer" | jq .data.inForce
}

expect() { # WHAT FOUND
    [ "$1" = "$2" ] || { echo "expected $1, found $2" >&2; exit 1; }
}

echo "Replies end when the holidays do"
control PATCH /clock '{"frozen": true, "now": "2027-01-05 23:59:59"}'
expect true "$(is_away anna@example.org)"
control PATCH /clock '{"forward": 1}'
expect false "$(is_away anna@example.org)"

echo "A server that fails is noticed"
control POST /reset '{}'
control POST /faults '{"operation": "getServiceOof", "status": 503, "times": 1}'
if is_away anna@example.org 2>"$folder/errors"; then exit 1; fi
expect false "$(is_away anna@example.org)"
curl -sS --fail "$controls/requests?operation=getServiceOof&status=503" >"$folder/requests.json"
expect 1 "$(jq .count "$folder/requests.json")"

echo "Passed"
