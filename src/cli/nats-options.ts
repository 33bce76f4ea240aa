import type { Command } from 'commander';
import type { ClusterAddress } from '../cluster/connection.js';
import { integer } from './usage.js';

/** How NATS is reached, as options of a command. */
export interface NatsFlags {
  nats: string[];
  name: string;
  tenant: string;
  user?: string;
  nkey?: string;
  credentials?: string;
  tlsCa?: string;
  tlsCert?: string;
  tlsKey?: string;
  tls?: boolean;
  connectTimeout?: number;
}

/** Adds the options that every command of a cluster has. */
export function withNats(command: Command): Command {
  return command
    .requiredOption('--name <name>', "the index's name: letters, digits and hyphens")
    .option('--nats <url...>', 'NATS servers; some of a cluster are enough', [
      'nats://localhost:4222',
    ])
    .option('--tenant <name>', 'whose index it is', 'default')
    .option('--user <name>', 'user of NATS; the password is read from LICHEN_NATS_PASSWORD')
    .option('--nkey <file>', "file of an nkey's seed")
    .option('--credentials <file>', 'file of credentials (JWT and seed)')
    .option('--tls', 'use TLS also where the server does not ask for it')
    .option('--tls-ca <file>', 'certificates that are trusted, PEM')
    .option('--tls-cert <file>', 'own certificate, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--connect-timeout <ms>', 'for the first connection', integer(1, 600_000));
}

export function addressOf(flags: NatsFlags): ClusterAddress {
  const { nats, name, tenant, user, nkey, credentials, connectTimeout } = flags;
  const { tls, tlsCa: ca, tlsCert: cert, tlsKey: key } = flags;
  const usesTls = tls === true || [ca, cert, key].some((file) => file !== undefined);
  return {
    ...{ servers: nats.flatMap((one) => one.split(',')), name, tenant },
    // Not an option: arguments of a process can be read by others.
    ...(user !== undefined && { user, password: process.env['LICHEN_NATS_PASSWORD'] ?? '' }),
    ...{ nkey, credentials, connectTimeout },
    ...(usesTls && { tls: { ca, cert, key } }),
  };
}
