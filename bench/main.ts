import { runBench } from './program.js';

void runBench(
  process.argv.slice(2),
  (line) => console.log(line),
  (line) => console.error(line),
).then((status) => {
  process.exitCode = status;
});
