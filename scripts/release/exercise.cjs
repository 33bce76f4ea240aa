// `node exercise.cjs FOLDER [OTHERS]`, where lichen is installed: for each storage type it builds indexes of seeded
// vectors, saves them into FOLDER and opens them, holds what they find against scores in doubles, and prints it; and
// what the files find that another machine has saved into the folder OTHERS.

const { mkdirSync } = require('node:fs');
const { join } = require('node:path');
const {
  FlatIndex,
  HnswIndex,
  machine,
  matrix,
  openIndex,
  Random,
  STORAGE_TYPES,
} = require('lichen');

const [folder, others] = process.argv.slice(2);
const DIM = 24;
const ROWS = 3000;
const QUERIES = 20;
const K = 10;
/** So few that graphs of floats are walked; of codes all are scanned, which costs less. */
const EF = 10;

const random = new Random(7);
const vectorsOf = (rows) =>
  matrix(
    Float32Array.from({ length: rows * DIM }, () => random.gaussian()),
    DIM,
  );
const base = vectorsOf(ROWS);
const queries = vectorsOf(QUERIES);

function exact(query) {
  const distances = Array.from({ length: ROWS }, (_, row) => {
    let sum = 0;
    for (let at = 0; at < DIM; at++) {
      sum += (base.data[row * DIM + at] - queries.data[query * DIM + at]) ** 2;
    }
    return { row, sum };
  });
  return distances.sort((a, b) => a.sum - b.sum).slice(0, K);
}
const TRUTH = Array.from({ length: QUERIES }, (_, query) => exact(query));

async function find(index) {
  const { keys, scores } = await index.searchBatch(queries, { k: K, ef: EF });
  return { keys: [...keys], scores: [...scores] };
}

const recallOf = ({ keys }) =>
  TRUTH.reduce((sum, truth, query) => {
    const found = keys.slice(query * K, (query + 1) * K);
    return sum + truth.filter(({ row }) => found.includes(row)).length / (QUERIES * K);
  }, 0);

async function main() {
  mkdirSync(folder, { recursive: true });
  const own = {};
  const opened = {};
  for (const storage of STORAGE_TYPES) {
    for (const [kind, Index] of Object.entries({ flat: FlatIndex, hnsw: HnswIndex })) {
      const name = `${kind}-${storage}.lichen`;
      const index = new Index({ dim: DIM, metric: 'l2', storage });
      // By one thread the same graph comes of it every time.
      await index.add(base, { threads: 1 });
      const found = await find(index);
      await index.save(join(folder, name));
      const again = await find(await openIndex(join(folder, name)));
      if (JSON.stringify(again) !== JSON.stringify(found)) {
        throw new Error(`${name} finds something else once it was saved and opened`);
      }
      if (storage === 'f32' && kind === 'flat') {
        TRUTH.flat().forEach(({ sum }, at) => {
          const difference = Math.abs(found.scores[at] - sum);
          if (difference > 1e-5 * sum) throw new Error(`score ${at} is off by ${difference}`);
        });
      }
      own[name] = { recall: recallOf(found), ...found };
      if (others !== undefined) opened[name] = await find(await openIndex(join(others, name)));
    }
  }
  process.stdout.write(JSON.stringify({ arch: process.arch, isa: machine().isa, own, opened }));
}

void main();
