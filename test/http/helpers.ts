import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { FlatIndex, Random, Recommender } from '../../src/index.js';
import type { Deployment, Key, RecommenderOptions } from '../../src/index.js';
import { createServer, type Server, type ServerOptions } from '../../src/http/index.js';

export const DIM = 4;
export const ROWS = 30;
const random = new Random(3);
export const VECTORS = Array.from({ length: ROWS }, () =>
  Float32Array.from({ length: DIM }, () => random.gaussian()),
);

/** A vector that is a user's: by the number that the name ends in. */
export function vectorOf(user: string | number | undefined): Float32Array {
  const seed = Number(/\d+$/.exec(String(user))?.[0] ?? 0);
  const own = new Random(100 + seed);
  return Float32Array.from({ length: DIM }, () => own.gaussian());
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, at) => sum + value * b[at]!, 0);

/** Rows from the nearest on, by dot product. */
export function nearest(vector: ArrayLike<number>, left: readonly number[] = []): number[] {
  return VECTORS.map((_, row) => row)
    .filter((row) => !left.includes(row))
    .sort((a, b) => dot(VECTORS[b]!, vector) - dot(VECTORS[a]!, vector));
}

/** An index of the vectors, by the keys given. */
export async function indexOf<K extends Key = number>(
  keys?: readonly K[],
  attributes?: boolean,
): Promise<FlatIndex<K>> {
  const schema = attributes === true ? { kind: 'category' as const } : undefined;
  const index = new FlatIndex<K>({ dim: DIM, metric: 'dot', attributes: schema });
  await index.add(VECTORS, {
    ...(keys && { keys: keys as never }),
    ...(schema && { attributes: { kind: VECTORS.map((_, row) => (row % 2 ? 'odd' : 'even')) } }),
  });
  return index;
}

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Something that is closed after the test. */
export function closing<T extends { close(): Promise<void> }>(what: T): T {
  open.push(() => what.close());
  return what;
}

/** A service of the vectors that listens. */
export async function served(
  server: Partial<ServerOptions> = {},
  recommender: RecommenderOptions = {},
  deployment: Partial<Deployment<Key>> = {},
): Promise<{ readonly server: Server; readonly recommender: Recommender; readonly url: string }> {
  const made = closing(new Recommender({ slo: 5000, k: 5, ...recommender }));
  await made.deploy<Key, unknown>({
    version: 'v1',
    index: await indexOf(),
    encode: (users) => users.map(({ user }) => vectorOf(user)),
    ...deployment,
  });
  const listening = closing(
    await createServer({ recommender: made, port: 0, log: false, ...server }),
  );
  return { server: listening, recommender: made, url: listening.url };
}

/** What a request came to. */
export interface Response<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** A POST of JSON. */
export async function post<T = Record<string, unknown>>(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response<T>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return answerOf<T>(response);
}

export async function get<T = Record<string, unknown>>(
  url: string,
  headers: Record<string, string> = {},
): Promise<Response<T>> {
  return answerOf<T>(await fetch(url, { headers }));
}

async function answerOf<T>(response: globalThis.Response): Promise<Response<T>> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  const body = (isJson ? JSON.parse(text) : text) as T;
  return { status: response.status, headers: response.headers, body };
}

/** The status and the code of an error. */
export function failure({ status, body }: Response<unknown>): [number, string | undefined] {
  return [status, (body as { error?: { code?: string } } | undefined)?.error?.code];
}

/** A connection that says whatever is wanted. */
export async function rawConnection(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  open.push(() => {
    socket.destroy();
    return Promise.resolve();
  });
  return socket;
}

/** All that comes until the connection ends. */
export async function untilEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(socket, 'close');
  return text;
}
