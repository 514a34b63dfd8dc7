#!/usr/bin/env bash
# Shows what accounting costs those who install: requests per second of warm
# tarballs and packuments from a server that counts and from one built so that
# counting a request does nothing, in alternating rounds; medians of both and of
# the ratios. The goal is less than 3 %. About two minutes. Needs wrk and python3.
#
#   bench/accounting.sh         ROUNDS (9), DUR (3 seconds)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD port=${PORT:-8483} rounds=${ROUNDS:-9} dur=${DUR:-3} domain=bench dir=$(mktemp -d)
. bench/serving.sh
servers=()
stop() { for s in "${servers[@]}"; do kill "$s"; wait "$s" || true; done; rm -rf "$dir"; }
trap stop EXIT
go build -o "$dir/counting" ./cmd/packhouse
count='^func (l \*Ledger) Count(.*{$'
[ "$(grep -c "$count" internal/usage/usage.go)" = 1 ] || { echo "internal/usage has no such method Count any more" >&2; exit 1; }
sed "/$count/a\\	if l != nil { return }" internal/usage/usage.go >"$dir/usage.go"
printf '{"Replace": {"%s": "%s"}}' "$root/internal/usage/usage.go" "$dir/usage.go" >"$dir/overlay.json"
go build -overlay "$dir/overlay.json" -o "$dir/silent" ./cmd/packhouse
export AWS_REGION=us-east-1
declare -A bases tokens
for which in counting silent; do
	start "$dir/$which" "$dir/data-$which" "$port" "$dir/log"
	servers+=("$server")
	export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_SHARED_CREDENTIALS_FILE=$dir/data-$which/credentials
	"$dir/$which" create-domain --domain bench >/dev/null
	publish "$dir/$which"
	bases[$which]=$base tokens[$which]=$token port=$((port + 1))
done
rate() { base=${bases[$1]} token=${tokens[$1]}; load "$2" "$3" | cut -d' ' -f3; }
for kind in tarball packument; do
	for which in counting silent; do rate $which $kind 1 >/dev/null; done
	for ((r = 1; r <= rounds; r++)); do
		order="counting silent"
		[ $((r % 2)) = 0 ] && order="silent counting"
		for which in $order; do rate $which $kind "$dur" >>"$dir/$kind-$which"; done
	done
	cost=$(paste "$dir/$kind-counting" "$dir/$kind-silent" | awk '{print 100 * (1 - $1 / $2)}' | median)
	printf '%-10s %8.0f requests/s with accounting, %8.0f without: it costs %.1f %% (median of %d pairs)\n' \
		$kind "$(median <"$dir/$kind-counting")" "$(median <"$dir/$kind-silent")" "$cost" "$rounds"
done
