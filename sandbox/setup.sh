#!/usr/bin/env bash
# Makes .venv with the locked packages. Runs again only when the lock has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '[setup] %s\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    command -v "$candidate"
    return
  done
  say "Python 3.11 or newer is needed and was not found; install it (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3"
  exit 1
}

python=$(find_python)
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  say "$python has no venv module; install it: apt-get install python3-venv"
  exit 1
}
started=$SECONDS
say "making .venv with $("$python" --version), for Flux's own packages (nothing is installed outside it)"
rm -f .venv/.ready
"$python" -m venv .venv
say "installing the packages of requirements.lock, each checked by its hash"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock || {
  say "pip could not install the locked packages; is a package index reachable? (pip config list)"
  exit 1
}
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
touch .venv/.ready
say "ready after $((SECONDS - started)) s"
