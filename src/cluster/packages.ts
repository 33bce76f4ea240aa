import type * as Jetstream from '@nats-io/jetstream';
import type * as KeyValue from '@nats-io/kv';
import type * as ObjectStores from '@nats-io/obj';
import type * as Transport from '@nats-io/transport-node';
import { importPackage, requirePackages } from '../vectors/packages.js';

/** The client of NATS, whose parts are optional peers. */
export interface NatsPackages {
  readonly transport: typeof Transport;
  readonly jetstream: typeof Jetstream;
  readonly kv: typeof KeyValue;
  readonly obj: typeof ObjectStores;
}

const NAMES = {
  transport: ['@nats-io/transport-node', 3],
  jetstream: ['@nats-io/jetstream', 3],
  kv: ['@nats-io/kv', 3],
  obj: ['@nats-io/obj', 3],
} as const;

/** @throws ERR_LICHEN_MISSING_PACKAGE, which names what to install. */
export async function loadNats(): Promise<NatsPackages> {
  return (await requirePackages(importPackage, 'a cluster', NAMES)) as unknown as NatsPackages;
}
