# peers.bash: what the scripts share that measure metahub next to nginx, HAProxy and Caddy. To be sourced in the repository's folder.
#
# $dir is a folder that goes when the script ends, and with it every process that has left its number in $dir/*.pid; $base is the last
# port that was given away. The figure that counts is user + system time of a program's own processes, from /proc, by request.
dir=$(mktemp -d)
chmod 711 "$dir" # nginx reads as another user
base=$((20000 + RANDOM % 10000))
names=() ports=() pids=() # of what is measured

# finish ends what was started, and what that has started: politely, and after 5 s by force. One that has ended by itself keeps it from nothing.
finish() {
	set +e
	local file pid tries started=() all=()
	for file in "$dir"/*.pid; do
		[ -f "$file" ] && started+=($(cat "$file"))
	done
	for pid in "${started[@]}"; do
		all+=("$pid" $(pgrep -P "$pid"))
		kill "$pid" 2>/dev/null
	done
	for tries in $(seq 50); do
		alive "${all[@]}" || break
		sleep 0.1
	done
	[ ${#all[@]} -eq 0 ] || kill -9 "${all[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}

# alive PID...: whether one of them is
alive() {
	local pid
	for pid in "$@"; do
		kill -0 "$pid" 2>/dev/null && return
	done
	return 1
}
trap finish EXIT

for tool in h2load nginx curl openssl; do
	command -v "$tool" >/dev/null || { echo "${0##*/}: $tool is not installed" >&2; exit 1; }
done

# certify HOST...: one P-256 certificate for all of them, which are below localhost, in $dir
certify() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout "$dir/key.pem" -out "$dir/cert.pem" \
		-subj "/CN=$1" -addext "subjectAltName=$(printf ',DNS:%s' "$@" | cut -c2-)" 2>/dev/null
	cat "$dir/cert.pem" "$dir/key.pem" >"$dir/both.pem"
	hosts=("$@")
}

# follow FOLDER: puts the certificate where metahub in that folder looks
follow() {
	local host
	for host in "${hosts[@]}"; do
		mkdir -p "$1/certs/$host"
		cp "$dir/cert.pem" "$1/certs/$host/fullchain.pem"
		cp "$dir/key.pem" "$1/certs/$host/privkey.pem"
		chmod 600 "$1/certs/$host/privkey.pem"
	done
}

# fill FILE BYTES
fill() {
	mkdir -p "$dir/site"
	head -c "$2" /dev/zero | tr '\0' x >"$dir/site/$1"
}

# add NAME PORT PID...
add() {
	names+=("$1") ports+=("$2")
	shift 2
	pids+=("$*")
}

# run_nginx NAME: one with $dir/NAME.conf, until it has its workers. As a daemon it would write its number down only after it has left, and
# a script that ends in between would leave it behind.
run_nginx() {
	local pid workers= before=
	nginx -p "$dir" -c "$dir/$1.conf" -g 'daemon off;' &
	pid=$!
	echo $pid >"$dir/$1.pid"
	while [ -z "$workers" ] || [ "$workers" != "$before" ]; do
		sleep 0.1
		before=$workers workers=$(pgrep -P $pid || true)
		kill -0 $pid 2>/dev/null || { echo "${0##*/}: nginx does not start: $(tail -n 3 "$dir/$1.err")" >&2; exit 1; }
	done
}

# start_upstream LOCATIONS: an nginx on $upstream
start_upstream() {
	upstream=$((base += 1))
	cat >"$dir/upstream.conf" <<-CONF
		worker_processes 1; pid $dir/upstream.nginx; error_log $dir/upstream.err;
		events { worker_connections 4096; }
		http { access_log off; keepalive_requests 100000000; default_type text/html; client_max_body_size 0; client_body_buffer_size 2m;
		  server { listen 127.0.0.1:$upstream backlog=4096; root $dir/site; $1 } }
	CONF
	run_nginx upstream
}

# start_nginx NAME LOG
start_nginx() {
	local port=$((base += 1))
	cat >"$dir/$1.conf" <<-CONF
		worker_processes 2; pid $dir/$1.nginx; error_log $dir/$1.err;
		events { worker_connections 4096; }
		http { access_log $2; keepalive_requests 100000000; client_max_body_size 0; proxy_max_temp_file_size 0; proxy_request_buffering off;
		  map \$host \$tenant { default ""; page.localhost anastasia; }
		  ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem; ssl_session_cache shared:SSL:10m;
		  proxy_cache_path $dir/$1.cache keys_zone=kept:10m; proxy_http_version 1.1;
		  upstream frontend { server 127.0.0.1:$upstream; keepalive 512; keepalive_requests 100000000; }
		  server { listen 127.0.0.1:$port ssl http2 reuseport backlog=4096; server_name page.localhost;
		    location / { proxy_pass http://frontend; proxy_set_header Connection "";
		      proxy_set_header Host \$host; proxy_set_header X-Tenant \$tenant; proxy_set_header X-Real-IP \$remote_addr;
		      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto https; }
		    location /cached { proxy_pass http://frontend; proxy_set_header Connection ""; proxy_set_header Host \$host; proxy_cache kept; } }
		  server { listen 127.0.0.1:$port ssl http2; server_name files.localhost;
		    location / { root $dir/site; sendfile on; tcp_nopush on; open_file_cache max=1000; } } }
	CONF
	run_nginx "$1"
	add "$1" "$port" $(pgrep -P "$(cat "$dir/$1.pid")")
}

# launch NAME BINARY PORT: metahub with the tenants.yaml in $dir/NAME; an empty path is built from here
launch() {
	local home=$dir/$1 binary=$2
	if [ -z "$binary" ]; then
		binary=$dir/built
		[ -e "$binary" ] || go build -o "$binary" .
	fi
	binary=$(realpath "$binary")
	follow "$home"
	(cd "$home" && exec "$binary" --log-level info >"$home/out" 2>"$home/log") &
	echo $! >"$dir/$1.pid"
	add "$1" "$3" $!
}

# start_metahub NAME BINARY [SETTING]: with one more setting below gateway:
start_metahub() {
	local port=$((base += 1)) admin=$((base += 1))
	mkdir -p "$dir/$1"
	cat >"$dir/$1/tenants.yaml" <<-CONF
		gateway: {https: "127.0.0.1:$port", http: "off", admin: "127.0.0.1:$admin", certificates: {issuer: internal}${3:+, $3}}
		defaults: {limits: {rate: 1000000, client_rate: 1000000, concurrency: 10000, connections: 10000}}
		tenants:
		  - {slug: anastasia, domains: [page.localhost], frontend: "http://127.0.0.1:$upstream", body_limit: 8MiB}
		  - {slug: ensotek, domains: [files.localhost], frontend: "dir:$dir/site"}
	CONF
	launch "$1" "$2" "$port"
}

# start_haproxy NAME [SETTING...]: with more settings of its frontend, one to a line
start_haproxy() {
	local name=$1 port=$((base += 1))
	shift
	cat >"$dir/$name.cfg" <<-CONF
		global
		  nbthread 2
		defaults
		  mode http
		  timeout client 60s
		  timeout server 60s
		  timeout connect 5s
		  http-reuse always
		frontend edge
		  bind 127.0.0.1:$port ssl crt $dir/both.pem alpn h2,http/1.1
		  http-request set-header X-Tenant anastasia if { hdr(host) -m beg page.localhost }
		  http-request set-header X-Forwarded-Proto https
		  option forwardfor
		  $(printf '  %s\n' "$@")
		  default_backend frontend
		backend frontend
		  server s1 127.0.0.1:$upstream
	CONF
	haproxy -f "$dir/$name.cfg" >"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
	add "$name" "$port" $!
}

# start_caddy NAME [LOG]: a file for its access log
start_caddy() {
	local name=$1 port=$((base += 1)) log=
	[ -z "${2:-}" ] || log="log {
		output file $2 {
			roll_disabled
		}
	}"
	cat >"$dir/$name.caddy" <<-CONF
		{
			auto_https off
			admin off
		}
		https://page.localhost:$port {
			$log
			tls $dir/cert.pem $dir/key.pem
			reverse_proxy 127.0.0.1:$upstream {
				header_up X-Tenant anastasia
				header_up X-Real-IP {remote_host}
			}
		}
		https://files.localhost:$port {
			$log
			tls $dir/cert.pem $dir/key.pem
			root $dir/site
			file_server
		}
	CONF
	HOME=$dir caddy run --adapter caddyfile --config "$dir/$name.caddy" >"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
	add "$name" "$port" $!
}

# start_peers NAME...: those that are installed
start_peers() {
	local peer
	for peer in "$@"; do
		case $peer in
		nginx) start_nginx nginx off ;;
		nginx-log) start_nginx nginx-log "$dir/access.log combined buffer=64k flush=1s" ;;
		*) command -v "${peer%-log}" >/dev/null || continue ;;&
		haproxy) start_haproxy haproxy ;;
		haproxy-log) start_haproxy haproxy-log "log stdout format raw local0" "option httplog" ;;
		caddy) start_caddy caddy ;;
		caddy-log) start_caddy caddy-log "$dir/caddy.access" ;;
		esac
	done
}

# ticks PIDS: hundredths of a second
ticks() {
	local total=0 pid fields
	for pid in $1; do
		[ -e "/proc/$pid" ] || continue # nginx's loader of its cache, which has nothing to do and ends
		fields=($(cut -d')' -f2 "/proc/$pid/stat"))
		total=$((total + fields[11] + fields[12]))
	done
	echo "$total"
}

# fetch URL PORT FILE: the answer, and its head in FILE.head
fetch() { curl -ks -D "$3.head" -o "$3" --connect-to "::127.0.0.1:$2" "$1"; }

# await NAME URL PORT BYTES: until it serves a page of that length
await() {
	local tries
	for tries in $(seq 100); do
		: >"$dir/page"
		if fetch "$2" "$3" "$dir/page" && [ "$(wc -c <"$dir/page")" -eq "$4" ]; then return; fi
		sleep 0.1
	done
	echo "${0##*/}: $1 does not serve $2: $(head -c 300 "$dir/page")" >&2
	exit 1
}

# measure CASE NAME PORT PIDS URL SECONDS H2LOAD-OPTION...: appends "CASE NAME us-of-CPU-a-request requests-a-second" to $dir/results
measure() {
	local case=$1 name=$2 port=$3 pids=$4 url=$5 seconds=$6 before after out n
	shift 6
	before=$(ticks "$pids")
	out=$(timeout $((3 * seconds + 5)) h2load "$@" -t1 -D "$seconds" --connect-to "127.0.0.1:$port" "$url" 2>&1) || return 0 # on a very busy machine h2load may miss its end
	after=$(ticks "$pids")
	n=$(awk '/^status codes:/ { print $3 + $5 }' <<<"$out") # 2xx, 3xx
	awk '/^requests:/ && $10 + $12 + $14 > 0 || /^status codes:/ && $7 + $9 > 0' <<<"$out" >&2
	awk -v name="$name" -v case="$case" -v n="${n:-0}" -v t="$((after - before))" -v s="$seconds" \
		'BEGIN { printf "%s %s %.2f %.0f\n", case, name, (n ? t * 10000 / n : 0), n / s }' | tee -a "$dir/results"
}

# print_medians ROUNDS CASE...: a table of what was measured, in which the first to be measured is 1.00
print_medians() {
	local rounds=$1 case name one low cpu high rate
	shift
	echo
	echo "medians of $rounds rounds            CPU us/request    lowest   highest  to ${names[0]}   requests/s"
	for case in "$@"; do
		one=
		for name in "${names[@]}"; do
			read -r low cpu high rate < <(awk -v n="$name" -v k="$case" '$1 == k && $2 == n { print $3, $4 }' "$dir/results" | sort -n |
				awk '{ c[NR] = $1; r[NR] = $2 } END { m = int((NR + 1) / 2); print c[1], c[m], c[NR], r[m] }')
			[ -n "$cpu" ] || continue
			one=${one:-$cpu}
			awk -v k="$case" -v n="$name" -v l="$low" -v c="$cpu" -v h="$high" -v b="$one" -v r="$rate" \
				'BEGIN { printf "%-10s %-20s %18.2f %9.2f %9.2f %10.3f %12.0f\n", k, n, c, l, h, (b ? c / b : 0), r }'
		done
	done
}
