import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { ownVersion } from '../vectors/packages.js';

/** What stands in the OpenAPI document besides the routes. */
export function openApiOptions(needsKey: boolean): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'lichen',
        description: 'Recommendations and vector search.',
        version: ownVersion(),
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
