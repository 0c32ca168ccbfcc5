#!/usr/bin/env bash
# Run the pinned clang-format, with the options given, over the hand-written C++ of the repository.
# Left out: rendered files (the snapshot) and the HLS checker's deliberately bad examples.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

git ls-files -z --cached --others --exclude-standard -- '*.h' '*.hpp' '*.cpp' ':!tests/hls/' \
    | xargs -0 --no-run-if-empty .venv/bin/clang-format --style=file "$@"
