#!/usr/bin/env bash
# api.sh: CPU time that a list from the API costs in metahub, next to Express 4 with mongoose 8 behind nginx, measured in one run on this machine.
#
#   bench/api.sh                             # 5 interleaved rounds of 3 s each
#   ROUNDS=9 D=5 C=32 bench/api.sh
#   METAHUBS="before=./old after=" CASES=list bench/api.sh     # binaries next to each other; an empty path is built from here
#   PEERS= bench/api.sh                                        # without Express
#
# Both sides end TLS with the same P-256 certificate, write an access log, and ask one database that answers with the same 20 localized
# documents of 5 KB (bench/api, over MongoDB's wire protocol). Before anything is measured their answers are compared byte by byte. The cases:
#
#   list     GET of the 20 documents
#   304      the same by a client that has them already; both sides ask the database
#   recheck  the same of a tenant with database_recheck, which lets metahub answer without asking; Express asks as before
#
# The figure is user + system time by request, from /proc: of metahub's process, which has its limits and metrics on, and of nginx's workers
# together with Node's process; requests by CPU second are its inverse. Needs node, npm (which fetches express and mongoose from its registry into a folder that is removed
# afterwards), nginx, h2load (nghttp2-client), curl and openssl.
set -eu
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5} seconds=${D:-3} connections=${C:-16} cases=${CASES:-list 304 recheck} metahubs=${METAHUBS:-metahub=} peers=${PEERS-express}
. bench/peers.bash
for tool in ${peers:+node npm}; do
	command -v "$tool" >/dev/null || { echo "api.sh: $tool is not installed" >&2; exit 1; }
done
certify list.localhost recheck.localhost

start_database() {
	go build -o "$dir/database" ./bench/api
	"$dir/database" >"$dir/uri" &
	echo $! >"$dir/database.pid"
	for _ in $(seq 100); do
		[ -s "$dir/uri" ] && break
		sleep 0.1
	done
	uri=$(cat "$dir/uri")
}

start_express() {
	local port=$((base += 1)) node=$((base += 1))
	mkdir "$dir/express"
	cp bench/api/app.js "$dir/express"
	(cd "$dir/express" && npm install --silent --no-audit --no-fund --no-save express@4 mongoose@8 >"$dir/npm.log" 2>&1) || { cat "$dir/npm.log" >&2; exit 1; }
	(cd "$dir/express" && NODE_ENV=production PORT=$node MONGO_URI=$uri exec node app.js 2>"$dir/node.log") &
	echo $! >"$dir/node.pid"
	cat >"$dir/nginx.conf" <<-CONF
		worker_processes 2; pid $dir/nginx.nginx; error_log $dir/nginx.err;
		events { worker_connections 4096; }
		http { access_log $dir/access.log combined buffer=64k flush=1s; keepalive_requests 100000000;
		  ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem; ssl_session_cache shared:SSL:10m;
		  upstream express { server 127.0.0.1:$node; keepalive 256; keepalive_requests 100000000; }
		  proxy_buffers 16 16k; proxy_buffer_size 16k; proxy_busy_buffers_size 32k; # the whole answer, so that none goes through a file
		  server { listen 127.0.0.1:$port ssl http2 reuseport backlog=4096;
		    location / { proxy_pass http://express; proxy_http_version 1.1; proxy_set_header Connection "";
		      proxy_set_header Host \$host; proxy_set_header X-Tenant bench; proxy_set_header X-Real-IP \$remote_addr;
		      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto https; } } }
	CONF
	run_nginx nginx
	add express "$port" $(pgrep -P "$(cat "$dir/nginx.pid")") "$(cat "$dir/node.pid")"
}

# start_api NAME BINARY
start_api() {
	local home=$dir/$1 port=$((base += 1)) admin=$((base += 1))
	mkdir -p "$home"
	cp -r api/models "$home/models" # with a fifth localized field, as the documents have it
	sed -i 's|^    description: .*|&\n    metaDescription: { $ref: "#/$defs/localized" }|' "$home/models/products.yaml"
	cat >"$home/tenants.yaml" <<-CONF
		gateway: {https: "127.0.0.1:$port", http: "off", admin: "127.0.0.1:$admin", models: models, certificates: {issuer: internal}}
		defaults: {limits: {rate: 1000000, client_rate: 1000000, concurrency: 10000, connections: 10000}}
		tenants:
		  - {slug: list, domains: [list.localhost], mongo_uri: "$uri"}
		  - {slug: recheck, domains: [recheck.localhost], mongo_uri: "${uri}2", database_recheck: 10s}
	CONF
	launch "$1" "$2" "$port"
}

url() { # CASE PORT
	case $1 in
	recheck) echo "https://recheck.localhost:$2/api/products" ;;
	*) echo "https://list.localhost:$2/api/products" ;;
	esac
}

# ask NAME PORT PIDS CASE
ask() {
	local tag=() url
	url=$(url "$4" "$2")
	if [ "$4" != list ]; then
		fetch "$url" "$2" "$dir/page"
		tag=(-H "if-none-match: $(awk 'tolower($1) == "etag:" { sub(/\r$/, "", $2); print $2 }' "$dir/page.head")")
	fi
	measure "$4" "$1" "$2" "$3" "$url" "$seconds" --h1 -c"$connections" "${tag[@]}"
}

start_database
[ -z "$peers" ] || start_express
for pair in $metahubs; do
	start_api "${pair%%=*}" "${pair#*=}"
done
for i in "${!names[@]}"; do
	for case in list recheck; do
		: >"$dir/page"
		for _ in $(seq 100); do
			fetch "$(url "$case" "${ports[i]}")" "${ports[i]}" "$dir/page" && grep -q '"success":true' "$dir/page" && break
			sleep 0.1
		done
		[ -f "$dir/answer" ] || cp "$dir/page" "$dir/answer"
		cmp "$dir/page" "$dir/answer" || { echo "api.sh: ${names[i]} does not answer as ${names[0]} does" >&2; exit 1; }
	done
done
echo "each answers with the same $(wc -c <"$dir/answer") bytes"

for round in $(seq "$rounds"); do
	for case in $cases; do
		for i in "${!names[@]}"; do
			ask "${names[i]}" "${ports[i]}" "${pids[i]}" "$case"
		done
	done
done
print_medians "$rounds" $cases
