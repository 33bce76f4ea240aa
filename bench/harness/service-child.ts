// A service over HTTP in a process of its own, until its input ends.

import { say } from './child.js';
import { compiledHttp, makeService } from './service.js';

async function main(): Promise<void> {
  const [rows, hidden, sloMs] = process.argv.slice(2).map(Number);
  const recommender = await makeService(
    { rows: rows!, hidden: hidden!, sloMs: sloMs! },
    { warmUp: 512 },
  );
  const server = await compiledHttp().createServer({ recommender, port: 0, log: false });
  say({ url: server.url });
  process.stdin.resume().on('end', () => {
    void server.close().then(() => recommender.close());
  });
}

void main();
