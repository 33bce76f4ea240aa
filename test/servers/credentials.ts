import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { isInstalled } from './processes.js';

export const OPENSSL_MISSING = !isInstalled('openssl');
export const OPENSSL_NOTE = OPENSSL_MISSING ? ' (skipped: openssl is not installed)' : '';

/** Paths of PEM files. */
export interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

/** A throwaway authority, and what it certifies: a server on this machine. */
export function makeCertificates(folder: string): Certificates {
  const path = (name: string): string => join(folder, name);
  const [ca, cert, key] = [path('ca.pem'), path('server.pem'), path('server.key')];
  const [caKey, request, extensions] = [path('ca.key'), path('server.csr'), path('server.ext')];
  writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-keyout'];
  const name = (of: string): string[] => ['-subj', `/CN=${of}`];
  openssl('req', '-x509', ...newKey, caKey, ...name('lichen test CA'), '-days', '2', '-out', ca);
  openssl('req', ...newKey, key, ...name('localhost'), '-out', request);
  // An extension file, as older versions of openssl do not copy those of the request.
  const by = ['-CA', ca, '-CAkey', caKey, '-set_serial', '2', '-extfile', extensions];
  openssl('x509', '-req', '-in', request, ...by, '-days', '2', '-out', cert);
  return { ca, cert, key };
}

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
}

/** A pair of keys of a user: the server is told the public one, and the client has the seed. */
export function makeNkey(): { nkeyPublic: string; seed: Uint8Array } {
  const pair = nkeys.createUser();
  return { nkeyPublic: pair.getPublicKey(), seed: pair.getSeed() };
}
