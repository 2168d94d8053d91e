// SPDX-License-Identifier: MIT
// ServerSocket with threads, NIO channels with a selector, both closing first; a child process.
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Arrays;

public class Speak {
	static final int COUNT = 40;

	static byte[] payload(int n) {
		byte[] body = new byte[1 + n * 1237 % 30000];
		Arrays.fill(body, (byte) n);
		return body;
	}

	static boolean ask(int port, int n) throws Exception {
		try (Socket socket = new Socket("127.0.0.1", port)) {
			socket.getOutputStream().write(n);
			byte[] expected = payload(n);
			byte[] body = new DataInputStream(socket.getInputStream()).readNBytes(expected.length);
			Thread.sleep(10);
			return Arrays.equals(body, expected);
		}
	}

	static int askAll(int port) throws Exception {
		int good = 0;
		for (int n = 0; n < COUNT; n++)
			good += ask(port, n) ? 1 : 0;
		return good;
	}

	static void answer(Socket socket) {
		try (socket) {
			socket.getOutputStream().write(payload(socket.getInputStream().read()));
		} catch (IOException e) {
			System.out.println(e);
		}
	}

	static int threads() throws Exception {
		try (ServerSocket listener = new ServerSocket()) {
			listener.setReuseAddress(true);
			listener.bind(new InetSocketAddress("127.0.0.1", 8800), 50);
			Thread thread = new Thread(() -> {
				try {
					for (int i = 0; i < COUNT; i++) {
						Socket socket = listener.accept();
						new Thread(() -> answer(socket)).start();
					}
				} catch (IOException e) {
					System.out.println(e);
				}
			});
			thread.start();
			int good = askAll(8800);
			thread.join();
			return good;
		}
	}

	static void serveChannels(ServerSocketChannel listener) throws IOException {
		Selector selector = Selector.open();
		listener.configureBlocking(false);
		listener.register(selector, SelectionKey.OP_ACCEPT);
		for (int done = 0; done < COUNT;) {
			selector.select();
			for (SelectionKey key : selector.selectedKeys()) {
				if (key.isAcceptable()) {
					SocketChannel channel = listener.accept();
					channel.configureBlocking(false);
					channel.register(selector, SelectionKey.OP_READ);
					continue;
				}
				SocketChannel channel = (SocketChannel) key.channel();
				ByteBuffer byteRead = ByteBuffer.allocate(1);
				if (channel.read(byteRead) != 1)
					throw new IOException("no question");
				ByteBuffer body = ByteBuffer.wrap(payload(byteRead.get(0)));
				while (body.hasRemaining())
					channel.write(body);
				channel.close();
				done++;
			}
			selector.selectedKeys().clear();
		}
		selector.close();
	}

	static int channels() throws Exception {
		try (ServerSocketChannel listener = ServerSocketChannel.open()) {
			listener.socket().setReuseAddress(true);
			listener.bind(new InetSocketAddress("127.0.0.1", 8801), 50);
			Thread thread = new Thread(() -> {
				try {
					serveChannels(listener);
				} catch (IOException e) {
					System.out.println(e);
				}
			});
			thread.start();
			int good = askAll(8801);
			thread.join();
			return good;
		}
	}

	static String child() throws Exception {
		Process process = new ProcessBuilder("echo", "hello").start();
		try (InputStream output = process.getInputStream()) {
			return new String(output.readAllBytes()).trim() + " " + process.waitFor();
		}
	}

	public static void main(String[] arguments) throws Exception {
		System.out.println("threads: " + threads());
		System.out.println("child: " + child());
		System.out.println("channels: " + channels());
	}
}
