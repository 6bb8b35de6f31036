/** What is vendored is what was published, but for the import paths. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../vendor/', import.meta.url);
const files = readdirSync(folder, { recursive: true }).map(String).filter((name) => /(\.js|LICENSE)$/.test(name));
const readme = readFileSync(new URL('README.md', folder), 'utf8');

test('every vendored file has the hash of its published form in the list', () => {
  const listed = new Map([...readme.matchAll(/^\| `([^`]+)` \| `([0-9a-f]{64})` \|$/gm)].map(([, name, digest]) => [name, digest]));
  assert.deepEqual([...listed.keys()].sort(), files.map((name) => name.replaceAll('\\', '/')).sort());
  for (const [name, digest] of listed) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const published = text.replace(/^import .*$/gm, (line) => line.replace("'../noble-hashes/", "'@noble/hashes/").replace("'../noble-curves/", "'@noble/curves/"));
    assert.equal(createHash('sha256').update(published).digest('hex'), digest, name);
  }
});

test('nothing reaches outside: every import is a file of this module', () => {
  const sources = readdirSync(new URL('..', import.meta.url), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js') && /^(src|vendor|index)/.test(name));
  for (const name of sources) {
    const text = readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
    for (const [, from] of text.matchAll(/^(?:import|export)[^'";]*from ['"]([^'"]+)['"]/gm)) assert.match(from, /^\.\.?\//, name);
    assert.doesNotMatch(text.replaceAll(/^\s*\*.*$/gm, ''), /\bimport\((?!['"]\.)/, name);
  }
});
