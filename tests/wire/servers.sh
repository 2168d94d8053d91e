# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # dir, python, STEER are lib.sh's
#
# Servers as the wire tests run them: unmodified, each with a config of its own that answers
# every request with "hello" and a Content-Length, and closes. server_NAME PORT [MORE...] starts
# one in namespace A, under "${STEER[@]}", and returns once it listens. All bind 0.0.0.0, and
# [::] where a second word "dual" is given and the server can.

server_nginx() {
	local port=$1 keepalive=${2:-0}
	mkdir -p "$dir/nginx$port"
	head -c "${NGINX_BIG:-1000}" /dev/zero >"$dir/nginx$port/big"
	cat >"$dir/nginx$port/nginx.conf" <<-END
		daemon off;
		pid $dir/nginx$port/pid;
		worker_processes 2;
		error_log $dir/nginx$port/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			default_type text/plain;
			keepalive_timeout $keepalive;
			keepalive_requests 1000000;
			client_body_temp_path $dir/nginx$port/body;
			proxy_temp_path $dir/nginx$port/proxy;
			fastcgi_temp_path $dir/nginx$port/fastcgi;
			uwsgi_temp_path $dir/nginx$port/uwsgi;
			scgi_temp_path $dir/nginx$port/scgi;
			server {
				listen 0.0.0.0:$port backlog=4096;
				listen [::]:$port ipv6only=on backlog=4096;
				location / { return 200 "hello\n"; }
				location /big { root $dir/nginx$port; }
				${NGINX_MORE:-}
			}
		}
	END
	start_listening a "nginx$port" "$port" "${STEER[@]}" \
		nginx -e "$dir/nginx$port/error.log" -c "$dir/nginx$port/nginx.conf"
}

server_apache() {
	local port=$1 modules=/usr/lib/apache2/modules
	mkdir -p "$dir/apache$port/www"
	echo hello >"$dir/apache$port/www/index.txt"
	cat >"$dir/apache$port/apache.conf" <<-END
		ServerRoot $dir/apache$port
		ServerName localhost
		PidFile $dir/apache$port/pid
		ErrorLog $dir/apache$port/error.log
		DefaultRuntimeDir $dir/apache$port
		LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
		LoadModule authz_core_module $modules/mod_authz_core.so
		LoadModule dir_module $modules/mod_dir.so
		User www-data
		Group www-data
		Listen 0.0.0.0:$port
		KeepAlive Off
		StartServers 4
		DocumentRoot $dir/apache$port/www
		DirectoryIndex index.txt
		<Directory />
			Require all granted
		</Directory>
	END
	start_listening a "apache$port" "$port" "${STEER[@]}" \
		apache2 -D FOREGROUND -f "$dir/apache$port/apache.conf"
}

server_haproxy() {
	local port=$1
	cat >"$dir/haproxy$port.conf" <<-END
		global
			maxconn 1000
			nbthread 2
		defaults
			mode http
			timeout client 10s
			timeout server 10s
			timeout connect 5s
			option httpclose
		frontend web
			bind 0.0.0.0:$port
			bind [::]:$port v6only
			http-request return status 200 content-type text/plain string "hello"
	END
	start_listening a "haproxy$port" "$port" "${STEER[@]}" haproxy -db -f "$dir/haproxy$port.conf"
}

server_python() {
	local port=$1
	mkdir -p "$dir/python$port"
	echo hello >"$dir/python$port/index.html"
	start_listening a "python$port" "$port" "${STEER[@]}" \
		"$python" -m http.server "$port" --bind 0.0.0.0 --directory "$dir/python$port"
}

server_node() {
	local port=$1
	cat >"$dir/node$port.js" <<-END
		require('http').createServer((request, response) => {
			response.setHeader('Connection', 'close');
			response.end('hello\n');
		}).listen($port, '::');
	END
	start_listening a "node$port" "$port" "${STEER[@]}" node "$dir/node$port.js"
}

server_jdk() {
	local port=$1
	mkdir -p "$dir/jdk$port"
	cat >"$dir/jdk$port/Web.java" <<-'END'
		import com.sun.net.httpserver.HttpServer;
		import java.net.InetSocketAddress;

		public class Web {
			public static void main(String[] arguments) throws Exception {
				int port = Integer.parseInt(arguments[0]);
				HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", port), 100);
				byte[] body = "hello\n".getBytes();
				server.createContext("/", exchange -> {
					exchange.getRequestBody().readAllBytes();
					exchange.getResponseHeaders().set("Connection", "close");
					exchange.sendResponseHeaders(200, body.length);
					exchange.getResponseBody().write(body);
					exchange.close();
				});
				server.start();
			}
		}
	END
	start_listening a "jdk$port" "$port" "${STEER[@]}" java -XX:TieredStopAtLevel=1 \
		-Xshare:auto -Dsun.net.httpserver.nodelay=true "$dir/jdk$port/Web.java" "$port"
}

server_socat() {
	local port=$1
	cat >"$dir/socat$port.sh" <<-'END'
		#!/bin/sh
		while read -r line && [ ${#line} -gt 1 ]; do :; done
		printf 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n'
	END
	chmod 755 "$dir/socat$port.sh"
	start_listening a "socat$port" "$port" "${STEER[@]}" \
		socat "TCP4-LISTEN:$port,fork,reuseaddr,backlog=100" "EXEC:$dir/socat$port.sh"
}

server_redis() {
	local port=$1
	mkdir -p "$dir/redis$port"
	start_listening a "redis$port" "$port" "${STEER[@]}" redis-server --port "$port" \
		--bind 0.0.0.0 --protected-mode no --save '' --appendonly no --dir "$dir/redis$port"
}
