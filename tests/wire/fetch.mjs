// SPDX-License-Identifier: MIT
// fetch.mjs N URL: one after the other; prints how many were answered.
const [count, url] = process.argv.slice(2);
let good = 0;
for (let i = 0; i < Number(count); i++) {
	try {
		const reply = await fetch(url);
		if ((await reply.text()).startsWith('hello'))
			good++;
	} catch (error) {
		console.error(`fetch: ${error} ${error.cause}`);
	}
}
console.log(good);
