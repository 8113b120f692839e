#!/usr/bin/env bash
# Installs what the bench compares the bridge with, where the machine lets it: wrk, servers of other makers, and the
# packages of a portal in Node. What is missing afterwards is not measured, and the page says so.
set -euo pipefail
cd "$(dirname "$0")"

apt() {
  local program=$1
  shift
  if command -v "$program" >/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return; fi
  echo "Installing $* ..."
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } </dev/null >/dev/null || true
}

apt wrk wrk
apt npm npm nodejs
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || apt initdb postgresql

lock=../../requirements/bench.lock
if ! cmp --silent "$lock" ../../.venv/.bench.lock; then
  echo "Installing the servers of bench.lock ..."
  ../../.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement "$lock" && cp "$lock" ../../.venv/.bench.lock || echo "They do not install here."
fi
if command -v npm >/dev/null && ! cmp --silent node/package-lock.json node/node_modules/.installed.lock; then
  echo "Installing the Node packages of the bench ..."
  npm --prefix node ci --no-audit --no-fund --loglevel=error && cp node/package-lock.json node/node_modules/.installed.lock ||
    echo "They do not install here."
fi
