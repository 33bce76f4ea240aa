import { execFileSync, spawnSync } from 'node:child_process';
import { request } from 'node:https';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import fastify from 'fastify';
import { context, trace } from '@opentelemetry/api';
import * as telemetry from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer, lichenPlugin } from '../../src/http/index.js';
import { loadHttpPackages } from '../../src/http/packages.js';
import { outcome } from '../batching/helpers.js';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { closing, get, indexOf, post, served, vectorOf } from './helpers.js';

const hasOpenSsl = spawnSync('openssl', ['version']).status === 0;

describe('TLS', () => {
  const at = temporaryFolder();

  it.skipIf(!hasOpenSsl)('is by the files of a certificate', async () => {
    const [cert, key] = [at('cert.pem'), at('key.pem')];
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', [...args, '-keyout', key, '-out', cert, '-days', '1', ...subject], {
      stdio: 'ignore',
    });
    const { url } = await served({ tls: { cert, key } });
    expect(url).toMatch(/^https:/);
    const asked = request(`https://localhost:${new URL(url).port}/healthz`, {
      ca: readFileSync(cert),
    });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    await once(response, 'end');
    asked.destroy();
  });

  it('tells of files that are missing', async () => {
    const { recommender } = await served();
    const tls = { cert: at('no.pem'), key: at('no.key') };
    const made = createServer({ recommender, port: 0, log: false, tls });
    expect(await outcome(made)).toBe('ERR_LICHEN_NOT_FOUND');
  });
});

describe('a server', () => {
  it('tells of an address that is taken', async () => {
    const { url, recommender } = await served();
    const port = Number(new URL(url).port);
    expect(await outcome(createServer({ recommender, port, log: false }))).toBe('ERR_LICHEN_IO');
  });

  it.each([
    ['no recommender', { recommender: {} }],
    ['a port that is none', { port: 70_000 }],
    ['an option that is none', { ports: 1 }],
    ['a body of no size', { bodyLimit: 0 }],
    ['a rate of nothing', { ratePerSecond: -1 }],
  ])('refuses %s', async (_, options) => {
    const { recommender } = await served();
    const made = createServer({ recommender, port: 0, log: false, ...options } as never);
    expect(await outcome(made)).toBe('ERR_LICHEN_ARGUMENT');
  });

  it('answers what is at work before it is closed', async () => {
    let end: (() => void) | undefined;
    let begin: (() => void) | undefined;
    const hasEnded = new Promise<void>((resolve) => (end = resolve));
    const hasBegun = new Promise<void>((resolve) => (begin = resolve));
    const { url, server } = await served(
      {},
      {},
      {
        encode: async (users) => {
          begin!();
          await hasEnded;
          return users.map(() => vectorOf(1));
        },
      },
    );
    const answer = post(`${url}/v1/recommend`, { user: 1 });
    await hasBegun;
    const closed = server.close();
    end!();
    expect((await answer).status).toBe(200);
    await closed;
    expect(await outcome(get(`${url}/healthz`))).toBe('fetch failed');
  });
});

describe('logs', () => {
  it('are lines of JSON that say what failed within, and nothing of what did not', async () => {
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    const { url } = await served(
      { log: { level: 'warn', stream } as never },
      {},
      {
        encode: (users) => {
          if (users.some(({ user }) => user === 'bad')) throw new Error('no weights');
          return users.map(({ user }) => vectorOf(user));
        },
      },
    );
    await post(`${url}/v1/recommend`, { user: 'good' });
    await post(`${url}/v1/recommend`, { user: 'good', k: -1 });
    expect(lines).toEqual([]);
    expect((await post(`${url}/v1/recommend`, { user: 'bad' })).status).toBe(500);
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: 50, msg: 'a request failed', err: { message: 'no weights' } },
    ]);
  });
});

describe('the plugin', () => {
  it('lives within an app of the user’s, under a prefix, and leaves the rest alone', async () => {
    const { recommender } = await served();
    const app = fastify();
    app.get('/', () => 'mine');
    await app.register(lichenPlugin, { recommender, prefix: '/vectors', hasPage: false });
    await app.listen({ port: 0 });
    closing({ close: () => app.close() });
    const address = app.server.address() as { port: number };
    const url = `http://127.0.0.1:${address.port}`;
    expect(
      (await post(`${url}/vectors/v1/recommend`, { user: 1, k: 2 })).body['items'],
    ).toHaveLength(2);
    expect((await get<string>(`${url}/`)).body).toBe('mine');
    expect((await get(`${url}/vectors/metrics`)).status).toBe(200);
    expect((await get(`${url}/metrics`)).status).toBe(404);
  });
});

describe('spans', () => {
  const exporter = new InMemorySpanExporter();
  beforeAll(() => {
    const provider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    });
    trace.setGlobalTracerProvider(provider);
    telemetry.propagation.setGlobalPropagator({
      inject: () => undefined,
      extract: (within, carrier: Record<string, string>) => {
        const [, traceId, spanId] = (carrier['traceparent'] ?? '').split('-');
        if (traceId === undefined || spanId === undefined) return within;
        return trace.setSpanContext(within, { traceId, spanId, traceFlags: 1, isRemote: true });
      },
      fields: () => ['traceparent'],
    });
    // As the context manager of OpenTelemetry's packages for Node.
    const stack = [telemetry.ROOT_CONTEXT];
    const manager = {
      active: () => stack.at(-1)!,
      with: <A extends unknown[], F extends (...args: A) => ReturnType<F>>(
        within: telemetry.Context,
        work: F,
        _?: unknown,
        ...args: A
      ) => {
        stack.push(within);
        try {
          return work(...args);
        } finally {
          stack.pop();
        }
      },
      bind: <T>(_: unknown, target: T) => target,
      enable: () => manager,
      disable: () => manager,
    };
    context.setGlobalContextManager(manager);
  });
  afterAll(() => {
    context.disable();
    trace.disable();
    telemetry.propagation.disable();
  });

  it('belong to that of the client, a child for each step', async () => {
    const { url } = await served({ openTelemetry: telemetry }, { openTelemetry: telemetry });
    exporter.reset();
    const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    await post(`${url}/v1/recommend`, { user: 1 }, headers);
    const spans = exporter.getFinishedSpans();
    const request = spans.find(({ name }) => name === 'lichen.recommend')!;
    expect(request.spanContext().traceId).toBe(traceId);
    expect(request.parentSpanContext?.spanId).toBe(spanId);
    expect(request.attributes).toMatchObject({ 'lichen.outcome': 'ok', 'lichen.cache': 'none' });
    const steps = spans.filter(({ name }) => name !== 'lichen.recommend');
    expect(steps.map(({ name }) => name)).toEqual(['lichen.encode', 'lichen.retrieval']);
    for (const step of steps) {
      expect(step.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    }
    await post(`${url}/v1/recommend`, { user: 1, where: { year: 1 } }, headers);
    const failed = exporter
      .getFinishedSpans()
      .filter(({ name }) => name === 'lichen.recommend')[1]!;
    expect(failed.status.code).toBe(telemetry.SpanStatusCode.ERROR);
    expect(failed.attributes['lichen.outcome']).toBe('invalid');
  });
});

describe('packages', () => {
  it('that are missing are named all at once', async () => {
    const missing = (name: string) => {
      const error = new Error(`Cannot find package '${name}'`) as NodeJS.ErrnoException;
      error.code = 'ERR_MODULE_NOT_FOUND';
      return Promise.reject(error);
    };
    await expect(loadHttpPackages(missing)).rejects.toMatchObject({
      code: 'ERR_LICHEN_MISSING_PACKAGE',
      message: expect.stringMatching(/npm install .*fastify@5.*prom-client@15/) as string,
    });
  });

  it('are not asked for by the rest of lichen', async () => {
    const index = await indexOf();
    expect(index.size).toBeGreaterThan(0);
    expect(Object.keys(await import('../../src/index.js'))).not.toContain('createServer');
  });
});
