#!/usr/bin/env bash
# pgo.sh: makes default.pgo anew, the profile of what bench/proxy.sh asks for by which the compiler arranges the code of metahub for it. An old
# one does no harm; it is made anew when what it speaks of has changed much.
#
#   bench/pgo.sh
set -eu
cd "$(dirname "$0")/.."
profile=$PWD/default.pgo
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 711 "$dir"
go build -trimpath -o "$dir/metahub" ./bench/profile
METAHUB_PROFILE=$profile METAHUBS=metahub=$dir/metahub PEERS= ROUNDS=${ROUNDS:-2} D=${D:-10} bench/proxy.sh
