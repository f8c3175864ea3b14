#!/usr/bin/env bash
# Installs what Footlight needs from Debian and says nothing when nothing is missing.
#
#   scripts/setup.sh build   to build both binaries and run the demo
#   scripts/setup.sh test    also to run every test (browser, players, other WebRTC stacks, shell linter)
#   scripts/setup.sh bench   also the tools that the benchmarks compare with
set -euo pipefail

say()  { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$1"; shift; for line in "$@"; do printf '       %s\n' "$line" >&2; done; exit 1; }

build_packages=(gcc libc6-dev make pkg-config libavcodec-dev libavutil-dev libswresample-dev libswscale-dev libyuv-dev libx264-dev libopenh264-dev libopus-dev
                fonts-dejavu-core fonts-wqy-microhei fonts-noto-color-emoji)
test_packages=(ffmpeg chromium shellcheck python3-aiortc simple-whip-client
               python3-gi gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0 gir1.2-nice-0.1
               gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice)
# Any Node.js from 18 on runs the JavaScript SDK of test/conformance; Debian's where there is none.
{ command -v node && command -v npm; } >/dev/null || test_packages+=(nodejs npm)
bench_packages=(gstreamer1.0-tools gstreamer1.0-plugins-ugly gstreamer1.0-libav xvfb)

[ $# -le 1 ] || fail "one of build, test and bench at a time: each has what the one before it has."
case "${1:-}" in
  build) packages=("${build_packages[@]}") ;;
  test)  packages=("${build_packages[@]}" "${test_packages[@]}") ;;
  bench) packages=("${build_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}") ;;
  *) fail "usage: scripts/setup.sh build|test|bench" ;;
esac

# Go. The version that go.mod asks for.
want=$(sed -n 's/^go \([0-9.]*\)$/\1/p' "$(dirname "$0")/../go.mod")
command -v go >/dev/null || fail "Go is not installed." "Install Go $want or newer from https://go.dev/dl/ and put its bin folder on PATH."
have=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
if [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ]; then
  fail "Go $have is too old: Footlight needs $want or newer." "Get it from https://go.dev/dl/."
fi

# What the tests need from npm, exactly as locked.
javascript() {
  [ "$1" != build ] || return 0
  locked "the AWS SDK for JavaScript" test/conformance/js
  locked "players by others" test/players
}
locked() {
  local dir; dir="$(dirname "$0")/../$2"
  [ ! "$dir/node_modules/.package-lock.json" -nt "$dir/package-lock.json" ] || return 0
  say "installing $1 into $2"
  (cd "$dir" && npm ci --silent --no-audit --no-fund) || fail "npm could not install $1." "Is there a network? Run this again."
}

# Debian packages.
missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || { javascript "$1"; exit 0; }

command -v apt-get >/dev/null || fail "these packages are missing, and this system has no apt-get:" "${missing[*]}" \
  "Footlight is built and tested on Debian 12; on another system install what these packages hold."
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "these packages are missing:" "${missing[*]}" "Install them as root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
say "installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1; }
# The package lists may be absent or old on a fresh machine: refresh them only when the install fails without.
if ! install; then
  "${as_root[@]}" apt-get update -qq >>"$log" 2>&1 || { tail -n 5 "$log" >&2; fail "cannot read Debian's package lists." "Is there a network? Check /etc/apt/sources.list, then run this again."; }
  install || { tail -n 15 "$log" >&2; fail "apt-get could not install: ${missing[*]}" "The lines above say why. Mend it, then run this again."; }
fi
javascript "$1"
say "done"
