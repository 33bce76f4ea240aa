import type * as Jetstream from '@nats-io/jetstream';
import type * as KeyValue from '@nats-io/kv';
import type * as ObjectStores from '@nats-io/obj';
import type * as Transport from '@nats-io/transport-node';
import { importPackage, requirePackage } from '../vectors/packages.js';

/** The client of NATS, whose parts are optional peers. */
export interface NatsPackages {
  readonly transport: typeof Transport;
  readonly jetstream: typeof Jetstream;
  readonly kv: typeof KeyValue;
  readonly obj: typeof ObjectStores;
}

/** @throws ERR_LICHEN_MISSING_PACKAGE, which names what to install. */
export async function loadNats(): Promise<NatsPackages> {
  const load = <T>(part: string) => requirePackage<T>(importPackage, `@nats-io/${part}`, 3);
  const [transport, jetstream, kv, obj] = await Promise.all([
    load<typeof Transport>('transport-node'),
    load<typeof Jetstream>('jetstream'),
    load<typeof KeyValue>('kv'),
    load<typeof ObjectStores>('obj'),
  ]);
  return { transport, jetstream, kv, obj };
}
