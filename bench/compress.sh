#!/usr/bin/env bash
# compress.sh: CPU time that a compressed page costs in metahub and in nginx, and how long it gets, measured in one run on this machine.
#
#   bench/compress.sh           # 3 interleaved rounds of 3 s each
#   ROUNDS=5 D=5 PAGE=some.html bench/compress.sh
#
# Both end TLS for anastasia.localhost with the same P-256 certificate and proxy PAGE (by default the text of docs/) from one upstream,
# over HTTP/1.1. The figure is user + system time of the proxy's own processes, from /proc, by request; "plain" is the same page
# without a coding, so the difference is what compression costs. Needs h2load (nghttp2-client), nginx, curl and openssl.
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3} seconds=${D:-3}
. bench/peers.bash
host=anastasia.localhost

mkdir "$dir/site"
if [ -n "${PAGE:-}" ]; then cp "$PAGE" "$dir/site/index.html"; else head -c 20000 docs/certificates.md docs/tenants.md -q | head -c 20000 >"$dir/site/index.html"; fi
certify "$host"
follow "$dir"

server() { # PORT LEVEL
	echo "server { listen 127.0.0.1:$1 ssl backlog=4096; gzip on; gzip_proxied any; gzip_vary on; gzip_min_length 1024; gzip_comp_level $2;
		location / { proxy_pass http://frontend; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Accept-Encoding \"\"; } }"
}

cat >"$dir/nginx.conf" <<-CONF
	worker_processes 1; pid $dir/nginx.nginx; error_log $dir/nginx.err;
	events { worker_connections 4096; }
	http { access_log off; keepalive_requests 100000000;
	  ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
	  upstream frontend { server 127.0.0.1:$base; keepalive 256; keepalive_requests 100000000; }
	  $(server $((base + 1)) 1) $(server $((base + 2)) 4) $(server $((base + 3)) 6) }
CONF
cat >"$dir/upstream.conf" <<-CONF
	worker_processes 1; pid $dir/upstream.nginx; error_log $dir/upstream.err;
	events { worker_connections 4096; }
	http { access_log off; keepalive_requests 100000000; default_type text/html;
	  server { listen 127.0.0.1:$base backlog=4096; root $dir/site; } }
CONF
cat >"$dir/tenants.yaml" <<-CONF
	gateway: {https: "127.0.0.1:$((base + 4))", http: "off", admin: "127.0.0.1:$((base + 5))", certificates: {issuer: internal}}
	tenants:
	  - {slug: anastasia, domains: [$host], frontend: "http://127.0.0.1:$base"}
CONF
run_nginx upstream
run_nginx nginx
go build -o "$dir/metahub" .
(cd "$dir" && exec ./metahub --log-level warn >metahub.log 2>&1) &
echo $! >"$dir/metahub.pid"
nginx=$(pgrep -P "$(cat "$dir/nginx.pid")") metahub=$(cat "$dir/metahub.pid")

# compare NAME PORT PID CODING: microseconds of CPU by request, and the length of the page on the wire
compare() {
	local before after n length
	length=$(curl -ks --connect-to "$host:443:127.0.0.1:$2" -H "Accept-Encoding: $4" -o /dev/null -w '%{size_download}' "https://$host/")
	before=$(ticks "$3")
	n=$(h2load --h1 -t1 -c32 -D "$seconds" --connect-to "127.0.0.1:$2" -H "Accept-Encoding: $4" "https://$host/" 2>&1 | awk '/^status codes:/ { print $3 }')
	after=$(ticks "$3")
	awk -v name="$1" -v n="$n" -v t="$((after - before))" -v l="$length" 'BEGIN { printf "%s %.1f %d\n", name, (n ? t * 10000 / n : 0), l }'
}

for _ in $(seq 100); do
	curl -ks -o "$dir/page" --connect-to "$host:443:127.0.0.1:$((base + 4))" "https://$host/" && cmp -s "$dir/page" "$dir/site/index.html" && break
	sleep 0.1
done
cmp -s "$dir/page" "$dir/site/index.html" || { echo "compress.sh: metahub does not serve the page: $(cat "$dir/metahub.log")" >&2; exit 1; }
for _ in $(seq "$rounds"); do
	compare nginx-plain $((base + 1)) "$nginx" identity
	compare nginx-gzip-1 $((base + 1)) "$nginx" gzip
	compare nginx-gzip-4 $((base + 2)) "$nginx" gzip
	compare nginx-gzip-6 $((base + 3)) "$nginx" gzip
	for coding in identity gzip br zstd; do
		compare "metahub-${coding/identity/plain}" $((base + 4)) "$metahub" "$coding"
	done
done | tee "$dir/results"

echo
echo "medians of $rounds rounds, $(wc -c <"$dir/site/index.html") bytes    CPU us/request   us above plain   bytes sent"
for name in nginx-plain nginx-gzip-1 nginx-gzip-4 nginx-gzip-6 metahub-plain metahub-gzip metahub-br metahub-zstd; do
	read -r cpu length < <(awk -v n="$name" '$1 == n { print $2, $3 }' "$dir/results" | sort -n | awk '{ c[NR] = $1; l[NR] = $2 } END { print c[int((NR + 1) / 2)], l[1] }')
	case $name in *-plain) plain=$cpu ;; esac
	awk -v n="$name" -v c="$cpu" -v p="$plain" -v l="$length" 'BEGIN { printf "%-40s %14.1f %16.1f %12d\n", n, c, c - p, l }'
done
