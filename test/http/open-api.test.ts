import { describe, expect, it } from 'vitest';
import { Validator } from '@seriousme/openapi-schema-validator';
import { get, served } from './helpers.js';

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components?: { readonly securitySchemes?: Record<string, unknown> };
}

interface Operation {
  readonly summary?: string;
  readonly requestBody?: { readonly content: Record<string, unknown> };
  readonly responses: Record<string, { readonly content?: Record<string, unknown> }>;
}

const KEYS = [{ id: 'a', key: '0123456789abcdef' }];

describe('the OpenAPI document', () => {
  it('is a valid one', async () => {
    const { url } = await served({ allowsWrites: true, keys: KEYS });
    const { body } = await get<Document>(`${url}/openapi.json`);
    const result = await new Validator().validate(structuredClone(body) as never);
    expect(result).toMatchObject({ valid: true });
    expect(body.openapi).toBe('3.1.0');
    expect(Object.keys(body.components!.securitySchemes!)).toEqual(['bearer', 'header']);
  });

  it('has every route that answers, with what it takes', async () => {
    const { url, server } = await served({ allowsWrites: true });
    const { body } = await get<Document>(`${url}/openapi.json`);
    expect(Object.keys(body.paths).sort()).toEqual([
      ...[
        '/healthz',
        '/metrics',
        '/readyz',
        '/v1/delete',
        '/v1/recommend',
        '/v1/search',
        '/v1/stats',
      ],
      '/v1/upsert',
    ]);
    for (const [path, operations] of Object.entries(body.paths)) {
      for (const [method, { summary, responses }] of Object.entries(operations)) {
        expect(server.app.hasRoute({ url: path, method: method.toUpperCase() })).toBe(true);
        expect(summary).toMatch(/\w/);
        expect(responses['200']).toBeDefined();
      }
    }
    const search = body.paths['/v1/search']!['post']!;
    const types = ['application/json', 'application/octet-stream'];
    expect(Object.keys(search.requestBody!.content)).toEqual(types);
    expect(Object.keys(search.responses['200']!.content!)).toEqual(types);
    expect(Object.keys(search.responses)).toEqual(
      expect.arrayContaining(['400', '401', '429', '503']),
    );
  });

  it('leaves out what is not allowed', async () => {
    const { url } = await served();
    const { body } = await get<Document>(`${url}/openapi.json`);
    expect(body.paths['/v1/upsert']).toBeUndefined();
    expect(body.components?.securitySchemes).toBeUndefined();
  });
});
