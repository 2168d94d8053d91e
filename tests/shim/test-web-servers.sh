#!/bin/bash
# SPDX-License-Identifier: MIT
# Web servers: as a backend, reloaded, upgraded, with processes and with threads.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/shim/served.sh
. "$(dirname "$0")/served.sh"

# --- PHP-FPM, which closes first, behind nginx ---

php_fpm=$(command -v /usr/sbin/php-fpm* | tail -n 1)

php_prepare() {
	mkdir -p "$dir/php"
	# shellcheck disable=SC2016 # PHP's
	echo '<?php echo str_repeat(md5($_GET["n"]), $_GET["n"] * 10), getenv("REQUEST_METHOD") ?>' >"$dir/php/page.php"
	cat >"$dir/php/fpm.conf" <<-END
		[global]
		error_log = $dir/php/log
		[www]
		user = www-data
		group = www-data
		listen = 127.0.0.1:8041
		pm = static
		pm.max_children = 3
		pm.max_requests = 10
	END
	cat >"$dir/php/nginx.conf" <<-END
		daemon off;
		pid $dir/php/pid;
		error_log $dir/php/nginx.log;
		events { }
		http {
			access_log off;
			client_body_temp_path $dir/php/body;
			proxy_temp_path $dir/php/proxy;
			fastcgi_temp_path $dir/php/fastcgi;
			uwsgi_temp_path $dir/php/uwsgi;
			scgi_temp_path $dir/php/scgi;
			server {
				listen 127.0.0.1:8040;
				location / {
					include /etc/nginx/fastcgi_params;
					fastcgi_param SCRIPT_FILENAME $dir/php/page.php;
					fastcgi_pass 127.0.0.1:8041;
				}
			}
		}
	END
}

php_start() {
	start_listening a fpm 8041 "${STEER[@]}" "$php_fpm" -F -y "$dir/php/fpm.conf" &&
		start_listening a nginx 8040 nginx -e "$dir/php/nginx.log" -c "$dir/php/nginx.conf"
}

php_work() {
	for ((i = 1; i <= count; i++)); do
		in_ns a curl -s -m 20 "http://127.0.0.1:8040/?n=$i" | cksum
	done
}

php_stop() {
	stop nginx
	stop fpm
}

# --- nginx: a reload and a new binary between requests; it keeps of its environment what it is told ---

nginx_prepare() {
	mkdir -p "$dir/nginx"
	cat >"$dir/nginx/conf" <<-END
		pid $dir/nginx/pid;
		error_log $dir/nginx/log;
		env LD_PRELOAD;
		env CLOSESIDE_SOCKET;
		worker_processes 2;
		events { }
		http {
			access_log off;
			keepalive_timeout 0;
			client_body_temp_path $dir/nginx/body;
			proxy_temp_path $dir/nginx/proxy;
			fastcgi_temp_path $dir/nginx/fastcgi;
			uwsgi_temp_path $dir/nginx/uwsgi;
			scgi_temp_path $dir/nginx/scgi;
			server {
				listen 127.0.0.1:8050;
				location / { return 200 "\$request_uri\n"; }
			}
		}
	END
}

# As a daemon: else it takes SIGUSR2 for one that was meant for its parent.
nginx_start() {
	in_ns a "${STEER[@]}" "$(command -v nginx)" -e "$dir/nginx/log" -c "$dir/nginx/conf" &&
		wait_for 20 listening a 8050 && wait_for 20 test -s "$dir/nginx/pid"
}

nginx_new_pid() {
	[ -s "$dir/nginx/pid.oldbin" ] && [ -s "$dir/nginx/pid" ]
}

nginx_work() {
	local old
	old=$(cat "$dir/nginx/pid")
	gets 8050
	kill -HUP "$old"
	gets 8050
	kill -USR2 "$old"
	wait_for 20 nginx_new_pid && echo "a new binary"
	kill -QUIT "$old"
	wait_for 20 pid_gone "$old" && echo "the old one is gone"
	gets 8050
}

nginx_stop() {
	local pid
	pid=$(cat "$dir/nginx/pid")
	kill "$pid"
	wait_for 20 pid_gone "$pid"
}

# --- Apache's other ways of working, with a graceful restart ---

apache_prepare() {
	mkdir -p "$dir/apache/www"
	for i in $(seq "$count"); do echo "/$i" >"$dir/apache/www/$i"; done
}

apache_start() {
	local modules=/usr/lib/apache2/modules
	cat >"$dir/apache/conf" <<-END
		ServerRoot $dir/apache
		ServerName localhost
		PidFile $dir/apache/pid
		ErrorLog $dir/apache/log
		DefaultRuntimeDir $dir/apache
		LoadModule mpm_${mpm}_module $modules/mod_mpm_$mpm.so
		LoadModule authz_core_module $modules/mod_authz_core.so
		User www-data
		Group www-data
		Listen 127.0.0.1:8060
		KeepAlive Off
		StartServers 2
		DocumentRoot $dir/apache/www
		<Directory />
			Require all granted
		</Directory>
	END
	rm -f "$dir/apache/pid"
	start_listening a apache 8060 "${STEER[@]}" apache2 -D FOREGROUND -f "$dir/apache/conf"
}

apache_work() {
	gets 8060
	signal apache USR1
	gets 8060
}

apache_stop() {
	stop apache
}

cases_init
php_prepare
# nginx waits for its EOF.
long=${case_options[peer]}
case_options[peer]=${long/grace=2s/grace=50ms}
served PHP-FPM $((count * 9 / 10)) php_start php_work php_stop
case_options[peer]=$long
nginx_prepare
served "nginx, reloaded and upgraded" $((count * 9 / 10)) nginx_start nginx_work nginx_stop
apache_prepare
for mpm in prefork worker event; do
	served "Apache's $mpm" $((count * 6 / 10)) apache_start apache_work apache_stop
done
finish
