#!/usr/bin/env bash
# curl against a node: curl.sh HOST:PORT. Ranges, a download that is cut off and resumed, HEAD, conditional requests.
set -euo pipefail
cd "$(dirname "$0")"
base=http://$1/blobs

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
head -c 8388608 /dev/urandom > "$scratch/file"
digest=$(python3 -c 'import sys; from node import digest_of; print(digest_of(open(sys.argv[1], "rb").read()))' "$scratch/file")
url=$base/$digest

status() { # WANTED CURL-ARG…
  local wanted=$1 got
  shift
  : > "$scratch/out" # curl leaves it alone if no body comes
  got=$(curl --silent --show-error --output "$scratch/out" --dump-header "$scratch/headers" --write-out '%{http_code}' "$@")
  [ "$got" = "$wanted" ] || { echo "curl $*: $got, not $wanted"; cat "$scratch/headers"; exit 1; }
}
header() { # NAME: its value in the last answer
  tr -d '\r' < "$scratch/headers" | awk -F ': ' -v name="$1" 'tolower($1) == name { print $2 }'
}
same() { # OFFSET LENGTH: the last answer is this part of the file
  cmp <(tail -c +$(($1 + 1)) "$scratch/file" | head -c "$2") "$scratch/out"
}

status 201 --upload-file "$scratch/file" "$url"
status 200 --upload-file "$scratch/file" "$url"
# curl asks before it sends a large body, and is told no before it has sent it.
status 400 --header 'Expect: 100-continue' --upload-file "$scratch/file" "$base/nonsense"
status 411 --header 'Transfer-Encoding: chunked' --upload-file "$scratch/file" "$url"

status 200 "$url"
same 0 8388608
status 206 --range 0-99 "$url"
same 0 100
status 206 --range 8388000- "$url"
same 8388000 608
status 206 --range -1000 "$url"
same 8387608 1000
[ "$(header content-range)" = "bytes 8387608-8388607/8388608" ]
status 416 --range 8388608- "$url"
[ "$(header content-range)" = "bytes */8388608" ]

status 200 --head "$url"
[ "$(header content-length)" = 8388608 ]
[ "$(header accept-ranges)" = bytes ]
etag=$(header etag)
status 304 --header "If-None-Match: $etag" "$url"
[ ! -s "$scratch/out" ]
status 412 --header 'If-Match: "other"' "$url"

# A download that broke off after 3,000,000 bytes goes on from there, and a finished one stays as it is.
head -c 3000000 "$scratch/file" > "$scratch/resumed"
curl --silent --show-error --fail --continue-at - --output "$scratch/resumed" "$url"
cmp "$scratch/file" "$scratch/resumed"

status 200 "$base?limit=1000"
grep -q "\"$digest\"" "$scratch/out"
status 204 --request DELETE "$url"
status 404 "$url"
echo "curl: stored, read in ranges, resumed, asked conditionally, listed, deleted"
