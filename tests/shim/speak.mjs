// SPDX-License-Identifier: MIT
// net and http servers that end first; a cluster; a child process.
import { execFileSync } from 'node:child_process';
import cluster from 'node:cluster';
import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';

const COUNT = 40;
const pause = ms => new Promise(done => setTimeout(done, ms));
const payload = n => createHash('md5').update(String(n)).digest('hex').repeat(1 + n * 37 % 900);

function serve(sock) {
	sock.once('data', line => {
		const body = payload(parseInt(line, 10));
		sock.write(`${body.length}\n${body}`, () => sock.destroy());
	});
	sock.on('error', () => {});
}

function ask(port, n) {
	return new Promise((done, failed) => {
		const sock = net.connect(port, '127.0.0.1', () => sock.write(`${n}\n`));
		const body = payload(n), whole = `${body.length}\n${body}`;
		let text = '';
		sock.on('data', async part => {
			text += part;
			if (text.length < whole.length)
				return;
			await pause(10);
			sock.destroy();
			done(text === whole ? 1 : 0);
		});
		sock.on('error', failed);
		sock.on('end', () => text.length < whole.length && failed(new Error('short')));
	});
}

async function askAll(port) {
	let good = 0;
	for (let n = 0; n < COUNT; n++)
		good += await ask(port, n);
	return good;
}

const listen = (server, port) => new Promise(done => server.listen(port, '127.0.0.1', done));

async function main() {
	const port = 8700;
	const server = net.createServer(serve);
	await listen(server, port);
	console.log('net:', await askAll(port));
	server.close();
	console.log('child:', execFileSync('echo', ['hello']).toString().trim());

	const web = http.createServer((request, response) => {
		response.setHeader('Connection', 'close');
		response.end(payload(parseInt(request.url.slice(1), 10)));
	});
	await listen(web, port + 1);
	let good = 0;
	for (let n = 0; n < COUNT; n++) {
		const response = await fetch(`http://127.0.0.1:${port + 1}/${n}`);
		good += await response.text() === payload(n);
	}
	console.log('http:', good);
	web.close();

	const workers = [cluster.fork(), cluster.fork()];
	await Promise.all(workers.map(worker => new Promise(done => worker.once('listening', done))));
	console.log('cluster:', await askAll(port + 2));
	await Promise.all(workers.map(worker => new Promise(done => {
		worker.once('exit', done);
		worker.disconnect();
	})));
	console.log('done');
}

if (cluster.isPrimary)
	main();
else
	net.createServer(serve).listen(8702, '127.0.0.1');
