import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of the package. */
export function packageVersion(): string {
  const text = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What stands in the OpenAPI document besides the routes. */
export function openApiOptions(needsKey: boolean): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'lichen',
        description: 'Recommendations and vector search.',
        version: packageVersion(),
        license: { name: 'MIT', identifier: 'MIT' },
      },
      ...(needsKey && {
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer' },
            header: { type: 'apiKey', in: 'header', name: 'x-api-key' },
          },
        },
      }),
    },
  };
}
