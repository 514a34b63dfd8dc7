#!/usr/bin/env bash
# Shows what a retention run and a sweep cost those who install meanwhile: p50 and
# p99 of warm tarballs and packuments, asked for at a fixed rate (bench/load), without
# and during each, in alternating rounds of one server; medians and their ratio.
# The goal is less than 1.2. DIR is an empty folder, filled once and used again;
# about three minutes. Needs python3.
#
#   bench/latency.sh DIR        ROUNDS (3), DUR (5 seconds), RATE (300 per second)
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:?usage: bench/latency.sh DIR} port=${PORT:-8481} rounds=${ROUNDS:-3} dur=${DUR:-5} domain=big
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
. bench/serving.sh
bin=$dir/packhouse
go build -o "$bin" ./cmd/packhouse
go build -o "$dir/fill" ./bench/retention
go build -o "$dir/load" ./bench/load
load() { "$dir/load" -url "$base${paths[$1]}" -token "$token" -for "$2s" -rate "${RATE:-300}"; }
server=
stop() { [ -z "$server" ] || { kill "$server"; wait "$server" || true; server=; }; }
trap stop EXIT
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_SHARED_CREDENTIALS_FILE=$dir/data/credentials AWS_REGION=us-east-1
if [ ! -e "$dir/filled" ]; then # a new folder is made a whole one: 200,000 versions, of which a run takes most
	rm -rf "$dir/data"
	start "$bin" "$dir/data" "$port" "$dir/log"
	stop
	"$dir/fill" -db "$dir/data/packhouse.db" -packages 10000 -versions 20
	touch "$dir/filled"
fi
start "$bin" "$dir/data" "$port" "$dir/log"
publish "$bin"
# What is asked for stays, and so do the rows of its repository.
"$bin" put-repository-retention-configuration --domain big --repository live --rules '[{"format":"npm","keep":true}]' >/dev/null
for kind in tarball packument; do load $kind 1 >/dev/null; done

sqlite() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*(c.execute(sys.argv[2]).fetchone() or [""])); c.commit()' "$dir/data/packhouse.db" "$1"; }
begin_run() {
	# A run over everything takes longer than a round. One that found the domain tidied would measure nothing.
	run=$("$bin" start-retention-run --domain big --query run.runId --output text)
	for _ in $(seq 200); do [ "$(removed)" -gt 0 ] && return; sleep 0.1; done
	echo "the run removes nothing: start with an empty folder" >&2; exit 1
}
removed() { "$bin" describe-retention-run --domain big --run-id "$run" --max-results 1 --query run.removed --output text; }
ended() { "$bin" describe-retention-run --domain big --run-id "$run" --max-results 1 --query run.status --output text; }
end_run() {
	echo "  (the run has removed $(removed) so far, $(ended))" >&2
	"$bin" stop-retention-run --domain big --run-id "$run" >/dev/null 2>&1 || true
	for _ in $(seq 200); do case $(ended) in STOPPED | SUCCEEDED) return ;; esac; sleep 0.1; done
}
space=$(sqlite "SELECT id FROM domain")
begin_sweep() { # the sweep is due as the server starts, and finds many old bytes that nothing refers to
	stop
	python3 - "$dir/data/blobs/$space" <<'PY'
import os, sys, time
old = time.time() - 3 * 86400
for _ in range(40000):
    name = os.urandom(32).hex()
    folder = os.path.join(sys.argv[1], name[:2])
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(b"x" * 1000)
    os.utime(path, (old, old))
PY
	sqlite "UPDATE job SET run_at = 0, leased_until = 0 WHERE kind = 'sweep-blobs'" >/dev/null
	start "$bin" "$dir/data" "$port" "$dir/log"
	for kind in tarball packument; do load $kind 1 >/dev/null; done
}
files() { find "$dir/data/blobs/$space" -type f | wc -l; }
end_sweep() { echo "  ($(files) files are left of the sweep)" >&2; }

results=$dir/results
: >"$results"
for ((r = 1; r <= rounds; r++)); do
	for what in run sweep; do
		for kind in tarball packument; do echo "$kind before-$what $(load $kind "$dur")" >>"$results"; done
		begin_$what
		for kind in tarball packument; do echo "$kind $what $(load $kind "$dur")" >>"$results"; done
		end_$what
		while [ $what = sweep ] && [ "$(files)" -gt 1000 ]; do sleep 0.5; done
	done
done
of() { awk -v k="$1" -v w="$2" -v c="$3" '$1 == k && $2 == w {print $c}' "$results" | median; }
printf '%-10s %-6s %12s %12s %7s %12s %12s %7s\n' what during p50-without p50-during ratio p99-without p99-during ratio
for kind in tarball packument; do
	for what in run sweep; do
		awk -v k=$kind -v w=$what -v a="$(of $kind before-$what 3)" -v b="$(of $kind $what 3)" -v c="$(of $kind before-$what 4)" -v d="$(of $kind $what 4)" \
			'BEGIN {printf "%-10s %-6s %9d us %9d us %7.2f %9d us %9d us %7.2f\n", k, w, a, b, b / a, c, d, d / c}'
	done
done
