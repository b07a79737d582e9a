#!/usr/bin/env bash
# large.sh: 2 GiB down and up through the built metahub over HTTP/1.1, HTTP/2 (by both servers) and HTTP/3, with the memory that it had at most.
#
#   bench/large.sh              # 2 GiB
#   MIB=512 bench/large.sh
#
# Client and upstream are one other process on the same machine, so the speed is that of all three together.
set -eu
cd "$(dirname "$0")/.."
METAHUB_LARGE_MIB=${MIB:-2048} go test ./e2e -count=1 -run '^TestLargeBodies$' -v -timeout 60m | grep --line-buffered -E 'MiB|FAIL|^ok'
