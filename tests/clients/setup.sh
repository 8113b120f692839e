#!/usr/bin/env bash
# Installs the Qlik clients that tests run: @qlik/api and @qlik/embed-react with what the browser tests need beside them
# (npm), and qlik-sdk (PyPI) in a virtual environment of its own. Does nothing when both are there. What cannot be installed is named and its tests are skipped; with CI=true it is
# a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing() {
  if [[ ${CI:-} == true ]]; then
    echo "tests/clients/setup.sh: $1" >&2
    exit 1
  fi
  echo "tests/clients/setup.sh: $1; the tests that need it will be skipped" >&2
}

has_node() {
  command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null
}

get_node() {
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 0
  echo "Installing Node.js and npm with apt-get ..."
  local install=(apt-get install --yes --quiet --quiet --no-install-recommends nodejs npm)
  export DEBIAN_FRONTEND=noninteractive
  "${install[@]}" >/dev/null 2>&1 || { apt-get update --quiet --quiet && "${install[@]}" >/dev/null; } || true
}

# The lock that was installed is kept beside what it installed.
node_packages() {
  local lock=tests/clients/node/package-lock.json modules=tests/clients/node/node_modules
  ! cmp --silent "$lock" "$modules/.installed.lock" || return 0
  command -v npm >/dev/null || get_node
  if ! has_node; then
    missing "the packages of $lock need Node.js 20 or newer with npm"
    return
  fi
  echo "Installing Node packages into $modules ..."
  if npm --prefix tests/clients/node ci --no-audit --no-fund --loglevel=error; then
    cp "$lock" "$modules/.installed.lock"
  else
    missing "npm could not install $lock"
  fi
}

qlik_sdk() {
  local lock=requirements/qlik-sdk.lock venv=.venv-qlik-sdk python
  ! cmp --silent "$lock" "$venv/.installed.lock" || return 0
  python=$(command -v .venv/bin/python || command -v python3)
  echo "Installing qlik-sdk into $venv ..."
  # Its pins are old: no wheel for this Python means no qlik-sdk, rather than a compiler run.
  if "$python" -m venv --clear "$venv" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --require-hashes --only-binary :all: --requirement "$lock"; then
    cp "$lock" "$venv/.installed.lock"
  else
    missing "qlik-sdk's locked wheels do not install on $("$python" --version)"
  fi
}

node_packages
qlik_sdk
