# SPDX-License-Identifier: MIT
# TCPServer with threads and with forks, WEBrick; all close first.
require 'digest'
require 'net/http'
require 'socket'
require 'webrick'

COUNT = 40
$stdout.sync = true

def payload(n)
  Digest::MD5.hexdigest(n.to_s) * (1 + n * 37 % 900)
end

def answer(sock)
  body = payload(sock.gets.to_i)
  sock.write("#{body.size}\n#{body}")
  sock.close
end

def ask(port, n)
  TCPSocket.open('127.0.0.1', port) do |sock|
    sock.puts(n)
    body = sock.read(sock.gets.to_i)
    sleep 0.01
    body == payload(n)
  end
end

def listener
  (8000..8999).each do |port|
    return TCPServer.new('127.0.0.1', port)
  rescue Errno::EADDRINUSE
    next
  end
end

def ask_all(port)
  (0...COUNT).count { |n| ask(port, n) }
end

server = listener
thread = Thread.new { COUNT.times { Thread.new(server.accept) { |sock| answer(sock) } } }
puts "threads: #{ask_all(server.addr[1])}"
thread.join
server.close

server = listener
pid = fork do
  COUNT.times do
    sock = server.accept
    child = fork { answer(sock) }
    sock.close
    Process.wait(child)
  end
end
puts "forks: #{ask_all(server.addr[1])}"
Process.wait(pid)
puts "exit status #{$CHILD_STATUS.inspect}, #{`echo hello`}"
port = server.addr[1]
server.close

web = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: port, AccessLog: [],
                              Logger: WEBrick::Log.new(File::NULL))
web.mount_proc('/') do |request, response|
  response.body = payload(request.path[1..].to_i)
  response['Connection'] = 'close'
end
thread = Thread.new { web.start }
good = (0...COUNT).count do |n|
  http = Net::HTTP.new('127.0.0.1', port)
  http.start do
    body = http.get("/#{n}").body
    sleep 0.01
    body == payload(n)
  end
end
puts "webrick: #{good}"
web.shutdown
thread.join
