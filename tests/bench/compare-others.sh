# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # for compare-loss.sh; dir and the like are lib.sh's
#
# Whose options lose data: nginx's reset_timedout_connection and HAProxy's nolinger, each beside the same
# without. What was sent is what they say in their logs; what was read is counted by the reader.
#
#   nginx    the reader pauses for longer than send_timeout, and what the kernel took by then is lost or not
#   HAProxy  before nginx, closes when it has passed the answer on

#   others_start    before the send buffers are made large: those of a listener are its connections'
#   others_buffered   what is to have large ones
#   others_read, others_tell

declare -A other_of=() # by port
others_missing=''

others_start() {
	if ! have nginx; then
		others_missing="nginx is not installed"
		return
	fi
	head -c $answer /dev/zero | tr '\0' x >"$dir/large"
	chmod 644 "$dir/large"
	start_nginx 8101 "nginx send_timeout" "send_timeout 1s; reset_timedout_connection off;"
	start_nginx 8102 "nginx reset_timedout_connection" "send_timeout 1s; reset_timedout_connection on;"
}

others_buffered() {
	[ -z "$others_missing" ] && ! have haproxy && others_missing="HAProxy is not installed"
	[ -z "$others_missing" ] || return 0
	start_haproxy 8103 "HAProxy" ""
	start_haproxy 8104 "HAProxy nolinger" "option nolinger"
}

others_read() {
	local at late
	for at in "${!other_of[@]}"; do
		late=1000
		[ "$at" -gt 8102 ] || late=3000 # longer than send_timeout
		start b "reader-$at" "$python" "$top_srcdir/tests/bench/read_late.py" "$A4" "$at" /large \
			"$loss_connections" $late
	done
}

others_tell() {
	local at
	[ -z "$others_missing" ] || emit_error "options of nginx and HAProxy" "$others_missing"
	for at in $(printf '%s\n' "${!other_of[@]}" | sort); do
		tell_other "$at" "${other_of[$at]}"
	done
}

# nginx_config PORT LOG LINE...: one worker, without keepalive
nginx_config() {
	mkdir -p "$dir/nginx-$1"
	cat <<-END
		daemon off;
		pid $dir/nginx-$1/pid;
		worker_processes 1;
		error_log $dir/nginx-$1/error.log;
		events { worker_connections 1024; }
		http {
			log_format sent '\$bytes_sent';
			access_log $2 sent;
			keepalive_timeout 0;
			client_body_temp_path $dir/nginx-$1/1; proxy_temp_path $dir/nginx-$1/2;
			fastcgi_temp_path $dir/nginx-$1/3; uwsgi_temp_path $dir/nginx-$1/4;
			scgi_temp_path $dir/nginx-$1/5;
			server {
				listen $1;
				root $dir;
				${*:3}
			}
		}
	END
}

# serve_nginx PORT LINE...: what it sent goes to $dir/nginx-PORT.sent
serve_nginx() {
	nginx_config "$1" "$dir/nginx-$1.sent" "${@:2}" >"$dir/nginx-$1.conf"
	plain
	start_listening a "nginx-$1" "$1" nginx -e "$dir/nginx-$1/error.log" -c "$dir/nginx-$1.conf" >&2
}

# start_nginx PORT CONTENDER LINE
start_nginx() {
	if serve_nginx "$1" "$3"; then other_of[$1]=$2; else emit_error "$2" "nginx does not start"; fi
}

# start_haproxy PORT CONTENDER LINE: before an nginx
start_haproxy() {
	local behind=$(($1 + 100))
	cat >"$dir/haproxy-$1.cfg" <<-END
		global
			maxconn 1000
			log stderr format raw local0
		defaults
			mode http
			timeout connect 10s
			timeout client 30s
			timeout server 30s
		frontend in
			bind $A4:$1
			log global
			log-format sent=%B
			option httpclose
			$3
			default_backend out
		backend out
			server web 127.0.0.1:$behind
	END
	if serve_nginx $behind &&
		start_listening a "haproxy-$1" "$1" haproxy -db -f "$dir/haproxy-$1.cfg" >&2; then
		other_of[$1]=$2
	else
		emit_error "$2" "it does not start"
	fi
}

# sent PORT: of each connection, as its server says
sent() {
	if [ -e "$dir/haproxy-$1.log" ]; then
		sed -n 's/^sent=//p' "$dir/haproxy-$1.log"
	else
		cat "$dir/nginx-$1.sent"
	fi
}

sent_least() {
	[ "$(sent "$1" | wc -l)" -ge "$2" ]
}

# tell_other PORT CONTENDER. HAProxy does not log each connection that it resets in time; of what it does
# not tell, nothing counts as sent, and so nothing as lost. It does not count a header that it adds, hence no less than nothing.
tell_other() {
	wait_for 90 pid_gone "${pid_of[reader-$1]}"
	unset "pid_of[reader-$1]"
	wait_for 20 sent_least "$1" "$loss_connections" || sent_least "$1" $((loss_connections * 9 / 10)) || {
		emit_error "$2" "its log tells of $(sent "$1" | wc -l) connections only"
		return
	}
	emit "$2" "$(jq -cs --argjson answer $answer --argjson sent "$(sent "$1" | awk '{ n += $1 } END { print n + 0 }')" '{
		connections: length, bytes_sent: $sent, bytes_lost: ([0, $sent - (map(.got) | add)] | max),
		cut: (map(select(.body < $answer)) | length),
		errors: (map(.error // empty) | group_by(.) | map({(.[0]): length}) | add // {})}' "$dir/reader-$1.log")"
}
