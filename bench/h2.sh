#!/usr/bin/env bash
# h2.sh: CPU time that a request over HTTP/2 costs in metahub's engine, net/http's server, nginx, HAProxy and Caddy, in one run.
#
#   bench/h2.sh                          # 5 interleaved rounds of 2 s each, 7 minutes
#   ROUNDS=3 D=5 CASES="page-10 api" PEERS=nginx bench/h2.sh
#   METAHUBS="before=/tmp/metahub,engine after=,engine" bench/h2.sh     # NAME=BINARY,SERVER; an empty path is built from here
#
# Each ends TLS with the same P-256 certificate. The cases, with 32 connections where no other number stands:
#
#   page-1, page-10, page-100   580 bytes, proxied from one upstream, with so many streams at once on a connection; the last on 4
#   download, upload            1 MiB, proxied, one stream at once on 4
#   api                         what metahub's embedded API answers, and the peers proxy, 10 streams
#   cached                      580 bytes from metahub's cache, which the peers proxy, 10 streams
#
# What is measured, and what it needs, is as in bench/proxy.sh. nginx neither writes bodies to files nor waits for the end of an upload.
set -eu
cd "$(dirname "$0")/.."
. bench/peers.bash
rounds=${ROUNDS:-5} seconds=${D:-2} cases=${CASES:-page-1 page-10 page-100 download upload api cached}
peers=${PEERS-nginx haproxy caddy} metahubs=${METAHUBS:-standard=,standard engine=,engine}

fill index.html 580
fill mebibyte 1048576
certify page.localhost files.localhost

url() { # CASE NAME PORT
	case $1 in
	page-*) echo "https://page.localhost:$3/" ;;
	download) echo "https://page.localhost:$3/mebibyte" ;;
	upload) echo "https://page.localhost:$3/upload" ;;
	api) echo "https://page.localhost:$3/api/tenant" ;;
	cached) case $2 in nginx) echo "https://page.localhost:$3/" ;; *) echo "https://page.localhost:$3/cached" ;; esac ;;
	esac
}

options() { # CASE
	case $1 in
	page-100) echo "-c4 -m100" ;;
	page-*) echo "-c32 -m${1#page-}" ;;
	download) echo "-c4 -m1" ;;
	upload) echo "-c4 -m1 -d $dir/site/mebibyte" ;;
	*) echo "-c32 -m10" ;;
	esac
}

page=$(cat "$dir/site/index.html")
start_upstream "location = / { return 200 \"$page\"; }
	location = /cached { add_header Cache-Control \"public, max-age=86400\"; return 200 \"$page\"; }
	location = /mebibyte { open_file_cache max=10; sendfile on; }
	location = /upload { proxy_pass http://127.0.0.1:$((base + 1))/; }
	location = /api/tenant { default_type application/json; }"
start_peers $peers
for one in $metahubs; do
	path=${one#*=}
	start_metahub "${one%%=*}" "${path%,*}" "http2: ${path##*,}"
done
last=$((${#names[@]} - 1))
await "${names[last]}" "$(url page-1 "" "${ports[last]}")" "${ports[last]}" 580
mkdir -p "$dir/site/api"
fetch "$(url api "" "${ports[last]}")" "${ports[last]}" "$dir/site/api/tenant"
grep -q anastasia "$dir/site/api/tenant" || { echo "h2.sh: the API does not answer: $(head -c 300 "$dir/site/api/tenant")" >&2; exit 1; }
for i in "${!names[@]}"; do
	for case in $cases; do
		size=580
		case $case in download) size=1048576 ;; api) size=$(wc -c <"$dir/site/api/tenant") ;; esac
		await "${names[i]}" "$(url "$case" "${names[i]}" "${ports[i]}")" "${ports[i]}" "$size"
	done
done

for round in $(seq "$rounds"); do
	for case in $cases; do
		for i in "${!names[@]}"; do
			measure "$case" "${names[i]}" "${ports[i]}" "${pids[i]}" "$(url "$case" "${names[i]}" "${ports[i]}")" "$seconds" $(options "$case")
		done
	done
done
print_medians "$rounds" $cases
