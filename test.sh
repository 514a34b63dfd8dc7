#!/usr/bin/env bash
# test.sh  installs what the tests need, runs all of them, ends with "N passed, N failed".
#
# Needs a Go toolchain, Python 3 and Node with npm; on Debian the rest is
# installed (as root, or through sudo without a password). What is there is left
# alone, so a second run starts testing at once. Clients go to a cache folder
# (~/.cache/packhouse-test), never into the system.
#
#   CI=true  nothing that can be installed may be missing: a test whose program
#            is not there fails (PACKHOUSE_TEST_REQUIRE=all) instead of being left out.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
exec </dev/null

# Versions of the clients the stories run. One place: change them here.
NPM10=10.9.9 NPM11=11.21.2 YARN1=1.22.22 YARN4=4.18.1 PNPM=12.21.0 BUN=1.4.5
NUGET=5.8.0
AWSCLI=1.45.11 BOTO3=1.43.11
PIP_OLD=19.3.1 PIP_23=23.0.1 PIP_NEW=26.3 UV=0.13.9 TWINE=7.0.0 POETRY=2.5.1 PDM=2.29.4 PDM_BACKEND=2.5.0 HISHEL=1.4.0 FLIT=4.2.0 PIPENV=2026.10.3
MAVEN3=3.10.0 MAVEN4=4.0.0-rc-6 IVY=2.5.3 COURSIER=2.1.24 # beside the mvn and gradle of the machine

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/packhouse-test
CLIENTS=$CACHE/clients
export PACKHOUSE_TEST_CLIENTS=$CLIENTS
[ "${CI:-}" = true ] && export PACKHOUSE_TEST_REQUIRE=${PACKHOUSE_TEST_REQUIRE:-all}
mkdir -p "$CLIENTS"
COUNTS=$(mktemp "${TMPDIR:-/tmp}/packhouse-counts.XXXXXX")
LOG=$(mktemp "${TMPDIR:-/tmp}/packhouse-install.XXXXXX")
FAILURES=$(mktemp "${TMPDIR:-/tmp}/packhouse-failures.XXXXXX")
trap 'rm -f "$COUNTS" "$LOG" "$FAILURES"' EXIT
failures=()

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }

# step SECONDS NAME COMMAND...: runs quietly; on failure shows the end of what it said.
step() {
  local limit=$1 name=$2 status; shift 2
  say "install: $name"
  timeout --kill-after=10 "$limit" "$@" >"$LOG" 2>&1 && return 0
  status=$?
  [ $status = 124 ] && echo "gave up after $limit s" >>"$LOG"
  say "install: $name FAILED (status $status):"; tail -n 20 "$LOG" | sed 's/^/      /'
  failures+=("install $name")
  echo "install 0 1 0" >>"$COUNTS"
  return 1
}

have() { command -v "$1" >/dev/null 2>&1; }
have_postgres() { { have initdb && have postgres; } || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

apt_install() {
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  have apt-get || { echo "no apt-get: install $* yourself"; return 1; }
  "${root[@]}" apt-get update -qq || return
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# client FOLDER BINARY SPEC: one npm package in a folder of its own, install script included.
client() {
  local dir=$CLIENTS/$1 bin=$2 spec=$3 name=${3%@*}
  [ "$(cat "$dir/.installed" 2>/dev/null)" = "$spec" ] && return 0
  rm -rf "$dir" && mkdir -p "$dir" && cd "$dir" || return
  # npm 11 runs an install script only if the project allows it by name.
  echo "{\"private\":true,\"allowScripts\":{\"$name\":true}}" >package.json
  npm install --no-audit --no-fund --no-update-notifier --loglevel=error --foreground-scripts "$spec" || return
  "node_modules/.bin/$bin" --version || return
  echo "$spec" >.installed
}

# python_client FOLDER SPEC...: Python packages in a virtual environment of their own.
python_client() {
  local dir=$CLIENTS/$1; shift
  rm -rf "$dir"
  python3 -m venv "$dir" || { apt_install python3-venv && python3 -m venv "$dir"; } || return
  "$dir/bin/python" -m pip install -q --disable-pip-version-check "$@" || return
  echo "$*" >"$dir/.installed"
}

# NuGet is a program for .NET: Mono runs it, with the assemblies it loads at start.
MONO=(mono-runtime)
for assembly in microsoft-build4.0 microsoft-build-framework4.0 microsoft-build-utilities-v4.0-4.0 microsoft-csharp4.0 \
  system-componentmodel-composition4.0 system-data-services4.0 system-data-services-client4.0 system-io-compression4.0 \
  system-io-compression-filesystem4.0 system-net-http4.0 system-net-http-webrequest4.0 system-runtime-serialization4.0 \
  system-web4.0 system-xml-linq4.0 windowsbase4.0; do
  MONO+=("libmono-$assembly-cil")
done
nuget_client() {
  local dir=$CLIENTS/nuget
  rm -rf "$dir" && mkdir -p "$dir" && cd "$dir" || return
  echo '{"private":true}' >package.json
  npm install --no-audit --no-fund --no-update-notifier --loglevel=error "nuget-exe@$NUGET" || return
  mkdir -p node_modules/.bin
  printf '#!/bin/sh\nexec mono "%s" "$@"\n' "$dir/node_modules/nuget-exe/nuget-$NUGET.exe" >node_modules/.bin/nuget
  chmod +x node_modules/.bin/nuget
  HOME=$dir node_modules/.bin/nuget help >/dev/null || return
  echo "nuget-exe@$NUGET" >.installed
}

# maven_client FOLDER VERSION: a Maven beside the machine's, which fetches it.
maven_client() {
  local dir=$CLIENTS/$1 version=$2
  rm -rf "$dir" && mkdir -p "$dir" || return
  fetch_with_mvn "org.apache.maven:apache-maven:$version:tar.gz:bin" || return
  tar -xzf "$HOME/.m2/repository/org/apache/maven/apache-maven/$version/apache-maven-$version-bin.tar.gz" -C "$dir" --strip-components=1 || return
  "$dir/bin/mvn" --version && echo "$version" >"$dir/.installed"
}

fetch_with_mvn() { mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dartifact="$1" -Dtransitive=false; }

# machine_client FOLDER PROGRAM: one of the machine's programs, as a client.
machine_client() {
  mkdir -p "$CLIENTS/$1/bin" && ln -sf "$(command -v "$2")" "$CLIENTS/$1/bin/$2"
}

ivy_client() {
  fetch_with_mvn "org.apache.ivy:ivy:$IVY" || return
  mkdir -p "$CLIENTS/ivy/bin" || return
  printf '#!/bin/sh\nexec java -Duser.home="$HOME" -jar "%s" "$@"\n' "$HOME/.m2/repository/org/apache/ivy/ivy/$IVY/ivy-$IVY.jar" >"$CLIENTS/ivy/bin/ivy"
  chmod +x "$CLIENTS/ivy/bin/ivy" && echo "$IVY" >"$CLIENTS/ivy/.installed"
}

# coursier: the program and all that it is made of.
coursier_client() {
  local dir=$CLIENTS/coursier
  rm -rf "$dir" && mkdir -p "$dir/bin" && cd "$dir" || return
  echo "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies><dependency>
    <groupId>io.get-coursier</groupId><artifactId>coursier-cli_2.13</artifactId><version>$COURSIER</version></dependency></dependencies></project>" >pom.xml
  mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir/lib" || return
  printf '#!/bin/sh\nexec java -Duser.home="$HOME" -cp "%s/lib/*" coursier.cli.Coursier "$@"\n' "$dir" >bin/cs
  chmod +x bin/cs && bin/cs version && echo "$COURSIER" >.installed
}

# maven_repository: the plugins that the Maven stories use, in a folder that they
# play a public repository with. Each Maven builds the project of the stories once.
maven_repository() {
  local repo=$CLIENTS/maven-repository work mvn
  work=$(mktemp -d) && rm -rf "$repo" || return
  cp -r test/e2e/testdata/maven/warm/. "$work" && cd "$work" || return
  for mvn in mvn "$CLIENTS/maven-3/bin/mvn" "$CLIENTS/maven-4/bin/mvn"; do
    "$mvn" -B -q -Dmaven.repo.local="$repo" -DaltDeploymentRepository="x::file://$work/out" deploy \
      org.apache.maven.plugins:maven-dependency-plugin:3.8.1:resolve || return
    "$mvn" -B -q -Dmaven.repo.local="$repo" org.apache.maven.plugins:maven-deploy-plugin:3.1.4:deploy-file -Dfile=target/warm-1.jar \
      -DgroupId=warm -DartifactId=file -Dversion=1 -Durl="file://$work/out" -DrepositoryId=x || return
  done
  rm -rf "$work" "$repo/warm"
  echo "$MAVEN3 $MAVEN4 $(cksum <"$OLDPWD/test/e2e/testdata/maven/warm/pom.xml")" >"$repo/.installed"
}

aws_client() {
  local py=$CACHE/py
  rm -rf "$py"
  python3 -m venv "$py" || { apt_install python3-venv && python3 -m venv "$py"; } || return
  "$py/bin/pip" install -q --disable-pip-version-check "awscli==$AWSCLI" "boto3==$BOTO3"
}
have_boto3() { python3 -c 'import boto3' >/dev/null 2>&1; }

# The reference simulator of policies: as its lock says, and none of its scripts.
simulator() {
  local dir=$CLIENTS/iam-simulate from=internal/policy/testdata/simulator
  rm -rf "$dir" && mkdir -p "$dir" && cp $from/package.json $from/package-lock.json "$dir" || return
  (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error) || return
  cp $from/package-lock.json "$dir/.installed"
}

# Functions are run by `timeout` in a shell of their own.
export -f apt_install client python_client simulator nuget_client aws_client have maven_client fetch_with_mvn machine_client ivy_client coursier_client maven_repository
export CLIENTS CACHE NUGET AWSCLI BOTO3 MAVEN3 MAVEN4 IVY COURSIER

say "packhouse: installing what the tests need"
for program in go node npm python3; do
  have $program || { say "$program is needed and is not here"; failures+=("$program is missing"); echo "install 0 1 0" >>"$COUNTS"; }
done
packages=()
have_postgres || packages+=(postgresql)
have make || packages+=(make)
have git || packages+=(git)
have gcc || packages+=(gcc libc6-dev) # the race detector links with it
have curl || packages+=(curl)
dpkg -s "${MONO[@]}" >/dev/null 2>&1 || packages+=("${MONO[@]}")
have javac || packages+=(default-jdk-headless)
have mvn || packages+=(maven)
have gradle || packages+=(gradle)
if [ ${#packages[@]} -gt 0 ]; then step 600 "${packages[*]}" bash -c 'apt_install "$@"' _ "${packages[@]}"; fi

while read -r dir bin spec; do
  [ "$(cat "$CLIENTS/$dir/.installed" 2>/dev/null)" = "$spec" ] || step 300 "$spec" bash -c 'client "$@"' _ "$dir" "$bin" "$spec"
done <<LIST
npm-10 npm npm@$NPM10
npm-11 npm npm@$NPM11
yarn-classic yarn yarn@$YARN1
yarn-berry yarn @yarnpkg/cli-dist@$YARN4
pnpm pnpm pnpm@$PNPM
bun bun bun@$BUN
LIST

while read -r dir specs; do
  # shellcheck disable=SC2086 # several specs
  [ "$(cat "$CLIENTS/$dir/.installed" 2>/dev/null)" = "$specs" ] || step 300 "$specs" bash -c 'python_client "$@"' _ "$dir" $specs
done <<LIST
pip-old pip==$PIP_OLD
pip-23 pip==$PIP_23
pip-new pip==$PIP_NEW
uv uv==$UV
twine twine==$TWINE flit==$FLIT
poetry poetry==$POETRY
pdm pdm==$PDM pdm-backend==$PDM_BACKEND hishel==$HISHEL
pipenv pipenv==$PIPENV
LIST
[ "$(cat "$CLIENTS/nuget/.installed" 2>/dev/null)" = "nuget-exe@$NUGET" ] || step 300 "nuget-exe@$NUGET" bash -c nuget_client
have mvn && machine_client maven-machine mvn
have gradle && machine_client gradle-machine gradle
for one in "maven-3 $MAVEN3" "maven-4 $MAVEN4"; do
  [ "$(cat "$CLIENTS/${one% *}/.installed" 2>/dev/null)" = "${one#* }" ] || step 300 "Maven ${one#* }" bash -c 'maven_client "$@"' _ ${one}
done
[ "$(cat "$CLIENTS/ivy/.installed" 2>/dev/null)" = "$IVY" ] || step 300 "Ivy $IVY" bash -c ivy_client
[ "$(cat "$CLIENTS/coursier/.installed" 2>/dev/null)" = "$COURSIER" ] || step 300 "coursier $COURSIER" bash -c coursier_client
[ "$(cat "$CLIENTS/maven-repository/.installed" 2>/dev/null)" = "$MAVEN3 $MAVEN4 $(cksum <test/e2e/testdata/maven/warm/pom.xml)" ] ||
  step 600 "plugins of Maven" bash -c maven_repository

cmp -s "$CLIENTS/iam-simulate/.installed" internal/policy/testdata/simulator/package-lock.json ||
  step 300 "the reference simulator of policies" bash -c simulator

# The AWS CLI: the machine's own, or one in a virtual environment.
if [ -x "$CACHE/py/bin/aws" ]; then PATH=$CACHE/py/bin:$PATH
elif ! have aws || ! have_boto3; then
  step 600 "awscli $AWSCLI, boto3 $BOTO3" bash -c aws_client && PATH=$CACHE/py/bin:$PATH
fi

# Terraform and its providers come from no registry that this script uses: their
# story runs where they are, and is left out elsewhere, in CI too. A folder of
# providers is looked for in a few places beside those Terraform knows itself.
if [ -z "${PACKHOUSE_TEST_TF_PLUGINS:-}" ]; then
  for dir in "$CACHE/terraform-plugins" /opt/*; do
    if compgen -G "$dir/*/hashicorp/aws" >/dev/null; then export PACKHOUSE_TEST_TF_PLUGINS=$dir; break; fi
  done
fi

# suite SECONDS NAME COMMAND...: shows everything; a failure that no count tells of is counted.
suite() {
  local limit=$1 name=$2 before status; shift 2
  before=$(awk '{n+=$3} END{print n+0}' "$COUNTS")
  say "$name (at most $((limit / 60)) minutes)"
  timeout --kill-after=30 "$limit" "$@"
  status=$?
  [ $status = 0 ] && { say "$name: ok"; return 0; }
  [ $status = 124 ] && say "$name: gave up after $limit s"
  [ "$(awk '{n+=$3} END{print n+0}' "$COUNTS")" -gt "$before" ] || echo "$name 0 1 0" >>"$COUNTS"
  failures+=("$name")
  return 1
}

suite 900 "tools" make --no-print-directory tools
suite 2400 "make check" make --no-print-directory -k check COUNTS="$COUNTS" FAILURES="$FAILURES"
suite 2760 "stories" make --no-print-directory e2e COUNTS="$COUNTS" FAILURES="$FAILURES"

[ ${#failures[@]} = 0 ] || { say "failed:"; printf '      %s\n' "${failures[@]}"; cat "$FAILURES"; }
awk '{p+=$2; f+=$3; s+=$4} END{printf "%d passed, %d failed, %d skipped\n", p, f, s; exit (f > 0 || p == 0)}' "$COUNTS"
