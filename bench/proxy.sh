#!/usr/bin/env bash
# proxy.sh: CPU time a proxied request costs in metahub, nginx, HAProxy and Caddy, measured in one run on this machine.
#
#   bench/proxy.sh              # 3 interleaved rounds of 5 s each, HTTP/1.1 and HTTP/2
#   ROUNDS=5 D=10 bench/proxy.sh
#   FILES=1 bench/proxy.sh      # the page is a file instead, which nginx sends with sendfile and open_file_cache
#
# Each ends TLS for anastasia.localhost with the same P-256 certificate and proxies to one upstream that answers 580 bytes. The figure
# is user + system time of the proxy's own processes, from /proc, by request. Those of nginx, haproxy and caddy that are not installed
# are left out. Needs wrk, h2load (nghttp2-client), nginx (it is the upstream too) and openssl, and a line
# "127.0.0.1 anastasia.localhost" in /etc/hosts, since wrk resolves names through the system.
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-3} seconds=${D:-5}
dir=$(mktemp -d)
frontend=http://127.0.0.1:3001
if [ -n "${FILES:-}" ]; then
	frontend=dir:$dir/site
	chmod 711 "$dir" # nginx reads as another user
	mkdir "$dir/site" && head -c 580 /dev/zero | tr '\0' x >"$dir/site/index.html"
fi
names=() ports=() pids=()

finish() {
	for file in "$dir"/*.pid; do
		[ -f "$file" ] && kill "$(cat "$file")" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT

for tool in wrk h2load nginx openssl; do
	command -v "$tool" >/dev/null || { echo "proxy.sh: $tool is not installed" >&2; exit 1; }
done
getent hosts anastasia.localhost >/dev/null || { echo 'proxy.sh: add "127.0.0.1 anastasia.localhost" to /etc/hosts' >&2; exit 1; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout "$dir/key.pem" -out "$dir/cert.pem" \
	-subj /CN=anastasia.localhost -addext subjectAltName=DNS:anastasia.localhost 2>/dev/null
cat "$dir/cert.pem" "$dir/key.pem" >"$dir/both.pem"

upstream() {
	local body
	body=$(head -c 580 /dev/zero | tr '\0' x)
	cat >"$dir/upstream.conf" <<-CONF
		worker_processes 1; pid $dir/upstream.pid; error_log $dir/upstream.err;
		events { worker_connections 4096; }
		http { access_log off; keepalive_requests 100000000;
		  server { listen 127.0.0.1:3001 backlog=4096; location / { default_type text/html; return 200 "$body"; } } }
	CONF
	nginx -p "$dir" -c "$dir/upstream.conf"
}

start_metahub() {
	go build -o "$dir/metahub" .
	mkdir -p "$dir/certs/anastasia.localhost"
	cp "$dir/cert.pem" "$dir/certs/anastasia.localhost/fullchain.pem"
	cp "$dir/key.pem" "$dir/certs/anastasia.localhost/privkey.pem"
	chmod 600 "$dir/certs/anastasia.localhost/privkey.pem"
	cat >"$dir/tenants.yaml" <<-CONF
		gateway: {https: "127.0.0.1:8544", http: "127.0.0.1:8580", admin: "127.0.0.1:9181", certificates: {issuer: internal}}
		tenants:
		  - {slug: anastasia, domains: [anastasia.localhost], frontend: "$frontend"}
	CONF
	"$dir/metahub" --config "$dir/tenants.yaml" --log-level "${LOG_LEVEL:-warn}" >"$dir/metahub.log" 2>&1 &
	echo $! >"$dir/metahub.pid"
	add metahub 8544 $!
}

start_nginx() {
	local location='proxy_pass http://frontend; proxy_http_version 1.1; proxy_set_header Connection "";
		      proxy_set_header Host $host; proxy_set_header X-Tenant $tenant; proxy_set_header X-Real-IP $remote_addr;
		      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto https;'
	[ -z "${FILES:-}" ] || location="root $dir/site; sendfile on; tcp_nopush on; open_file_cache max=1000;"
	cat >"$dir/nginx.conf" <<-CONF
		worker_processes 2; pid $dir/nginx.pid; error_log $dir/nginx.err;
		events { worker_connections 4096; }
		http { access_log off; keepalive_requests 100000000;
		  map \$host \$tenant { default ""; anastasia.localhost anastasia; }
		  upstream frontend { server 127.0.0.1:3001; keepalive 256; keepalive_requests 100000000; }
		  server { listen 127.0.0.1:8543 ssl http2 reuseport backlog=4096;
		    ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem; ssl_session_cache shared:SSL:10m;
		    location / { $location } } }
	CONF
	nginx -p "$dir" -c "$dir/nginx.conf"
	add nginx 8543 $(pgrep -P "$(cat "$dir/nginx.pid")")
}

start_haproxy() {
	command -v haproxy >/dev/null && [ -z "${FILES:-}" ] || return 0
	cat >"$dir/haproxy.cfg" <<-CONF
		global
		  nbthread 2
		defaults
		  mode http
		  timeout client 60s
		  timeout server 60s
		  timeout connect 5s
		  http-reuse always
		frontend edge
		  bind 127.0.0.1:8546 ssl crt $dir/both.pem alpn h2,http/1.1
		  http-request set-header X-Tenant anastasia if { hdr(host) -m beg anastasia.localhost }
		  http-request set-header X-Forwarded-Proto https
		  option forwardfor
		  default_backend frontend
		backend frontend
		  server s1 127.0.0.1:3001
	CONF
	haproxy -f "$dir/haproxy.cfg" >"$dir/haproxy.log" 2>&1 &
	echo $! >"$dir/haproxy.pid"
	add haproxy 8546 $!
}

start_caddy() {
	command -v caddy >/dev/null && [ -z "${FILES:-}" ] || return 0
	cat >"$dir/Caddyfile" <<-CONF
		{
			auto_https off
			admin off
		}
		https://anastasia.localhost:8545 {
			tls $dir/cert.pem $dir/key.pem
			reverse_proxy 127.0.0.1:3001 {
				header_up X-Tenant anastasia
				header_up X-Real-IP {remote_host}
			}
		}
	CONF
	caddy run --config "$dir/Caddyfile" >"$dir/caddy.log" 2>&1 &
	echo $! >"$dir/caddy.pid"
	add caddy 8545 $!
}

add() {
	names+=("$1") ports+=("$2")
	shift 2
	pids+=("$*")
}

ticks() {
	local total=0 pid fields
	for pid in $1; do
		fields=($(cut -d')' -f2 "/proc/$pid/stat"))
		total=$((total + fields[11] + fields[12]))
	done
	echo "$total"
}

# measure NAME PORT PIDS PROTOCOL: microseconds of CPU by request, and requests by second
measure() {
	local url=https://anastasia.localhost:$2/ before after out n
	before=$(ticks "$3")
	if [ "$4" = h1 ]; then
		out=$(wrk -t1 -c64 -d"${seconds}s" "$url" 2>&1)
		n=$(awk '/requests in/ {print $1}' <<<"$out")
		grep -E 'Non-2xx|Socket errors' <<<"$out" >&2 || true
	else
		out=$(h2load -t1 -c32 -m10 -D "$seconds" "$url" 2>&1)
		n=$(awk '/^requests:/ {print $8}' <<<"$out")
	fi
	after=$(ticks "$3")
	awk -v name="$1" -v proto="$4" -v n="${n:-0}" -v t="$((after - before))" -v s="$seconds" \
		'BEGIN { printf "%s %s %.2f %.0f\n", name, proto, (n ? t * 10000 / n : 0), n / s }'
}

upstream
start_nginx
start_haproxy
start_caddy
start_metahub
for i in "${!names[@]}"; do
	for _ in $(seq 100); do
		curl -ks -o "$dir/page" "https://anastasia.localhost:${ports[i]}/" && break
		sleep 0.1
	done
	[ "$(wc -c <"$dir/page")" = 580 ] || { echo "proxy.sh: ${names[i]} does not serve the page" >&2; exit 1; }
done

for round in $(seq "$rounds"); do
	for proto in h1 h2; do
		for i in "${!names[@]}"; do
			measure "${names[i]}" "${ports[i]}" "${pids[i]}" "$proto" | tee -a "$dir/results"
		done
	done
done

echo
echo "medians of $rounds rounds        CPU us/request   ratio to nginx   requests/s"
for proto in h1 h2; do
	base=
	for name in "${names[@]}"; do
		read -r cpu rate < <(awk -v n="$name" -v p="$proto" '$1 == n && $2 == p {print $3, $4}' "$dir/results" | sort -n |
			awk '{c[NR] = $1; r[NR] = $2} END {print c[int((NR + 1) / 2)], r[int((NR + 1) / 2)]}')
		[ "$name" = nginx ] && base=$cpu
		awk -v p="$proto" -v n="$name" -v c="$cpu" -v b="$base" -v r="$rate" \
			'BEGIN { printf "%-4s %-20s %18.2f %16.2f %12.0f\n", p, n, c, c / b, r }'
	done
done
