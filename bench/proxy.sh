#!/usr/bin/env bash
# proxy.sh: CPU time that a request costs in metahub, nginx, HAProxy and Caddy, measured in one run on this machine.
#
#   bench/proxy.sh                       # 3 interleaved rounds of 5 s each: every case over HTTP/1.1 and HTTP/2
#   ROUNDS=5 D=10 bench/proxy.sh        # D is whole seconds
#   CASES=page PROTOCOLS=h1 PEERS=nginx bench/proxy.sh
#   METAHUBS="before=/tmp/metahub after=" bench/proxy.sh    # binaries next to each other; an empty path is built from here
#
# Each ends TLS with the same P-256 certificate. The cases:
#
#   page    580 bytes, proxied from one upstream
#   file    580 bytes from a folder; nginx has sendfile and open_file_cache
#   large   64 KiB from a folder
#   cached  580 bytes of the upstream's, from the cache; nginx has proxy_cache
#
# metahub counts for its limits and metrics and writes its access log, to a file; of the others only "nginx-log" writes one, in pieces of 64 KiB,
# and "haproxy-log" and "caddy-log", line by line as they do.
# The figure is user + system time of the proxy's own processes, from /proc, by request. Those of nginx, haproxy and caddy that are not
# installed are left out, but nginx is the upstream too. Needs h2load (nghttp2-client), nginx, curl and openssl. HTTP/2 in depth is bench/h2.sh.
set -eu
cd "$(dirname "$0")/.."
. bench/peers.bash
rounds=${ROUNDS:-3} seconds=${D:-5} cases=${CASES:-page file large cached} protocols=${PROTOCOLS:-h1 h2} metahubs=${METAHUBS:-metahub=}
peers=${PEERS-nginx nginx-log haproxy haproxy-log caddy caddy-log}

fill index.html 580
fill large.js 65536
certify page.localhost files.localhost

url() { # CASE PORT
	case $1 in
	page) echo "https://page.localhost:$2/" ;;
	file) echo "https://files.localhost:$2/" ;;
	cached) echo "https://page.localhost:$2/cached" ;;
	large) echo "https://files.localhost:$2/large.js" ;;
	esac
}

serves() { # NAME CASE
	case $1/$2 in
	haproxy*/page) ;;
	haproxy*/* | caddy*/cached) false ;;
	esac
}

page=$(cat "$dir/site/index.html")
start_upstream "location / { return 200 \"$page\"; } location /cached { add_header Cache-Control \"public, max-age=86400\"; return 200 \"$page\"; }"
start_peers $peers
for pair in $metahubs; do
	start_metahub "${pair%%=*}" "${pair#*=}"
done
for i in "${!names[@]}"; do
	for case in $cases; do
		size=580
		[ "$case" != large ] || size=65536
		! serves "${names[i]}" "$case" || await "${names[i]}" "$(url "$case" "${ports[i]}")" "${ports[i]}" "$size"
	done
done

tables=()
for case in $cases; do
	for proto in $protocols; do tables+=("$case/$proto"); done
done
for round in $(seq "$rounds"); do
	for table in "${tables[@]}"; do
		options="-c64 --h1"
		[ "${table#*/}" = h1 ] || options="-c32 -m10"
		for i in "${!names[@]}"; do
			! serves "${names[i]}" "${table%/*}" || measure "$table" "${names[i]}" "${ports[i]}" "${pids[i]}" "$(url "${table%/*}" "${ports[i]}")" "$seconds" $options
		done
	done
done
print_medians "$rounds" "${tables[@]}"
