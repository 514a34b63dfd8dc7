#!/usr/bin/env bash
# Runs every fuzz target below some folders for a short time each, as many at a
# time as there are processors; new finds are kept in testdata/fuzz. Ends with
# "OK BAD", their numbers.
#
#   tools/fuzz.sh DURATION FOLDER...        GO (go)
#
# The go command now and then ends a run on a busy machine with nothing but
# "context deadline exceeded": its own timer, no find. Such a run is made again.
set -uo pipefail
export FUZZTIME=$1 GO=${GO:-go}
shift

# one FILE:func NAME(...
one() {
  local dir=./${1%/*} name=${1#*:func } out status
  name=${name%%(*}
  for _ in 1 2 3; do
    out=$(timeout 180 "$GO" test -run='^$' -fuzz="^$name\$" -fuzztime="$FUZZTIME" -parallel=1 "$dir" 2>&1)
    status=$?
    [ $status != 0 ] && grep -q 'context deadline exceeded' <<<"$out" && ! grep -q 'Failing input' <<<"$out" || break
  done
  if [ $status = 0 ]; then
    echo "   ok $dir $name"
  else
    printf '   FAILED %s %s\n%s\n' "$dir" "$name" "$(tail -40 <<<"$out")"
  fi
}
export -f one

said=$(mktemp)
trap 'rm -f "$said"' EXIT
grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' "$@" | sort |
  xargs -d '\n' -P "$(nproc)" -I{} bash -c 'one "$1"' _ {} | tee "$said" >&2
echo "$(grep -c '^   ok ' "$said") $(grep -c '^   FAILED ' "$said")"
