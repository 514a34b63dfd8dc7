#!/usr/bin/env bash
# Previews retention over a million versions in 50,000 packages on SQLite, with a
# real server and the real command, and shows time and memory of both.
# DIR is an empty folder; it is filled once (about a minute) and may be used again.
#
#   bench/retention.sh DIR [PACKAGES [VERSIONS]]
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:?usage: bench/retention.sh DIR [PACKAGES [VERSIONS]]}
packages=${2:-50000} versions=${3:-20}
listen=127.0.0.1:${PORT:-8479}
mkdir -p "$dir"
go build -o "$dir/packhouse" ./cmd/packhouse
go build -o "$dir/fill" ./bench/retention

server=
start() {
	"$dir/packhouse" serve --data "$dir/data" --listen "$listen" --log-requests false 2>"$dir/log" & server=$!
	until curl -fs "http://$listen/readyz" >/dev/null; do kill -0 "$server"; sleep 0.05; done
}
stop() { [ -z "$server" ] || { kill "$server"; wait "$server" || true; server=; }; }
trap stop EXIT

if [ ! -e "$dir/filled" ]; then
	start
	stop
	"$dir/fill" -db "$dir/data/packhouse.db" -packages "$packages" -versions "$versions"
	touch "$dir/filled"
fi
start
export AWS_ENDPOINT_URL=http://$listen AWS_SHARED_CREDENTIALS_FILE=$dir/data/credentials AWS_REGION=us-east-1
peak() { awk '/VmHWM/ {printf "%d MiB", $2/1024}' "/proc/$1/status"; }
busy() { awk -v hz="$(getconf CLK_TCK)" '{printf "%.1f", ($14 + $15) / hz}' "/proc/$1/stat"; }
echo "server before: $(peak "$server") at its highest"
for output in csv json; do
	began=$(date +%s.%N) before=$(busy "$server")
	/usr/bin/env time -f "command: %e s, %U s of a processor, %M KiB at its highest" "$dir/packhouse" preview-retention --domain big --output "$output" >"$dir/preview.$output"
	echo "$output: $(echo "$(date +%s.%N) - $began" | bc) s in all, server $(echo "$(busy "$server") - $before" | bc) s of a processor, $(peak "$server") at its highest"
done
awk -F, 'NR > 1 {n[$6]++; bytes += $8} END {for (d in n) printf "%s %.0f\n", d, n[d]; printf "bytes %.0f\n", bytes}' "$dir/preview.csv"
