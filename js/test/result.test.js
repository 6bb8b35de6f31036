/** Signed results of remote verifiers, against the vectors that the Python library writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppraisalRefused, MalformedToken, Misconfigured, verifyResult } from '../index.js';
import { readJson } from '../testing/vectors.js';

const vectors = readJson('strongroom/remote-verifier.json');
const nonce = Uint8Array.from({ length: 32 }, (_, at) => at);
const at = new Date(vectors.at);
const terms = { at, maximumAgeSeconds: 60, nonce };

/** @param {Promise<unknown>} promise */
async function objections(promise) {
  const error = await promise.then(() => undefined, (reason) => reason);
  assert.ok(error instanceof AppraisalRefused, String(error));
  return error.findings.map((item) => [item.check, item.section.replace('attestation-results ', '')]);
}

test('a result and a refusal', async () => {
  const result = await verifyResult(vectors.jwt, vectors.key, terms);
  assert.equal(result.accepted, true);
  assert.equal(result.status, 'affirming');
  assert.equal(result.kind, 'sgx-dcap-3');
  assert.match(result.evidenceDigest ?? '', /^[0-9a-f]{64}$/);
  const refusal = await verifyResult(vectors.jwt_of_a_refusal, vectors.key, terms);
  assert.equal(refusal.accepted, false);
  assert.equal(refusal.status, 'contraindicated');
  assert.notEqual(refusal.policyDigest, result.policyDigest);
});

test('times and nonce', async () => {
  const late = new Date(at.getTime() + 3_600_000);
  const early = new Date(at.getTime() - 60_000);
  assert.deepEqual(await objections(verifyResult(vectors.jwt, vectors.key, { ...terms, at: late })), [['expiry', '3.3.2'], ['freshness', '3.3.3']]);
  assert.deepEqual(await objections(verifyResult(vectors.jwt, vectors.key, { ...terms, at: early })), [['expiry', '3.3.1']]);
  assert.deepEqual(await objections(verifyResult(vectors.jwt, vectors.key, { ...terms, nonce: new Uint8Array(32) })), [['freshness', '3.3.4']]);
});

test('another key, another algorithm, an altered token', async () => {
  assert.deepEqual(await objections(verifyResult(vectors.jwt, `EdDSA:${'11'.repeat(32)}`, terms)), [['signature', '3.1.4']]);
  assert.deepEqual(await objections(verifyResult(vectors.jwt, `ES256:${'11'.repeat(64)}`, terms)), [['signature', '3.1.3'], ['signature', '3.1.4']]);
  const [header, payload, signature] = vectors.jwt.split('.');
  const other = vectors.jwt_of_a_refusal.split('.')[1];
  assert.deepEqual(await objections(verifyResult(`${header}.${other}.${signature}`, vectors.key, terms)), [['signature', '3.1.4']]);
  const none = `${btoa('{"alg":"none","typ":"eat+jwt"}').replace(/=/g, '')}.${payload}.`;
  assert.deepEqual(await objections(verifyResult(none, vectors.key, terms)), [['signature', '3.1.3'], ['signature', '3.1.4']]);
});

test('what is no token, and what is no key', async () => {
  const [header, payload, signature] = vectors.jwt.split('.');
  const critical = btoa('{"alg":"EdDSA","typ":"eat+jwt","crit":["b64"]}').replace(/=/g, '');
  for (const token of ['', 'a.b', `${header}.${payload}.${signature}.`, `${header}.${payload}=.${signature}`, `${critical}.${payload}.${signature}`]) {
    await assert.rejects(verifyResult(token, vectors.key, terms), MalformedToken);
  }
  for (const key of ['', 'none:', 'EdDSA:11', 'ES256:zz']) await assert.rejects(verifyResult(vectors.jwt, key, terms), Misconfigured);
});
