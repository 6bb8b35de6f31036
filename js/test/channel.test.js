/** The channel's vectors, the same as the Python tests': every step of docs/spec/attested-channel.md that a client takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, equal, hex, sha256, utf8 } from '../src/base/bytes.js';
import { decode, encode } from '../src/base/canonical.js';
import { AppraisalRefused, MalformedMessage } from '../src/base/errors.js';
import { verifyLabelled } from '../src/base/signatures.js';
import { encodeRequest, encodeResponse, readRequest, readResponse } from '../src/channel/bhttp.js';
import { ClientExchange } from '../src/channel/exchange.js';
import { HpkePrivateKey, OpenFailed, PUBLIC_KEY_BYTES } from '../src/channel/hpke.js';
import { encodeHello, readAnswer, readCore } from '../src/channel/messages.js';
import { ReplayWindow, WINDOW } from '../src/channel/replay.js';
import { deriveKeys, hpkeInfo, transcriptHash } from '../src/channel/schedule.js';
import { ClientChannel } from '../src/channel/secure.js';
import { isSignedBy, machineId, readClaims, readInstanceCertificate, reportData } from '../src/formats/claims.js';
import { batchLeaf } from '../src/verifier/binding.js';
import { pathLength, verifyInclusion } from '../src/verifier/merkle.js';
import { readPolicy, standingPolicy } from '../src/verifier/policy.js';
import { bytes, channel, draws, damaged, raw } from '../testing/vectors.js';

const keys = await deriveKeys(raw('keys', 's'), raw('keys', 'h'));
const same = (/** @type {Uint8Array} */ actual, /** @type {Uint8Array} */ expected) => assert.equal(hex(actual), hex(expected));

test('section 2: the hello', () => {
  const hello = encodeHello({
    deployment: raw('server', 'deployment'),
    nonce: raw('client', 'nonce'),
    kemKey: raw('client', 'kem_key'),
    knownCollateral: channel.client.known_collateral.map(bytes),
  });
  same(hello, raw('client', 'hello'));
});

test('section 3: the secret opens with the key of its hello and no other', async () => {
  const key = await HpkePrivateKey.fromSeeds(raw('client', 'mlkem_seed'), raw('client', 'x25519_private_key'));
  same(key.publicKey, raw('client', 'kem_key'));
  same(await hpkeInfo(raw('client', 'hello')), raw('hpke', 'info'));
  same(await key.open(raw('hpke', 'sealed'), raw('hpke', 'info')), raw('keys', 's'));
  const sealed = raw('hpke', 'sealed');
  for (const at of [0, 1087, 1088, 1119, 1120, 1167]) {
    const other = sealed.slice();
    other[at] ^= 1;
    await assert.rejects(key.open(other, raw('hpke', 'info')), OpenFailed);
  }
  await assert.rejects(key.open(sealed, utf8('another purpose')), OpenFailed);
  await assert.rejects(key.open(sealed.slice(0, 1100), raw('hpke', 'info')), OpenFailed);
  await assert.rejects(key.open(concat(sealed.slice(0, 1088), new Uint8Array(32), sealed.slice(1120)), raw('hpke', 'info')), OpenFailed);
  await assert.rejects((await HpkePrivateKey.generate()).open(sealed, raw('hpke', 'info')), OpenFailed);
});

test('a drawn key has the right size and is another one each time', async () => {
  const [one, other] = [await HpkePrivateKey.generate(), await HpkePrivateKey.generate()];
  assert.equal(one.publicKey.length, PUBLIC_KEY_BYTES);
  assert(!equal(one.publicKey, other.publicKey));
});

test('section 3: transcript and keys', async () => {
  same(await transcriptHash(raw('client', 'hello'), raw('server', 'core')), raw('keys', 'h'));
  same(keys.serverBinder, raw('keys', 'server_binder'));
  same(keys.serverConfirmation, raw('keys', 'server_confirmation'));
  same(keys.clientToServer, raw('keys', 'client_to_server'));
  same(keys.serverToClient, raw('keys', 'server_to_client'));
  same(keys.channelId, raw('keys', 'channel_id'));
});

test('section 3: core and answer are read', () => {
  const core = readCore(raw('server', 'core'));
  assert.equal(core.suite, 1);
  assert.equal(core.evidence, 'sgx-dcap-3');
  same(core.sealedSecret, raw('hpke', 'sealed'));
  same(core.collateralDigest, raw('server', 'collateral_digest'));
  const answer = readAnswer(raw('answer', 'answer'));
  same(answer.core, raw('server', 'core'));
  same(answer.evidence, raw('answer', 'evidence'));
  same(/** @type {Uint8Array} */ (answer.collateral), raw('server', 'collateral'));
});

test('section 4: leaves, trees and every path', async () => {
  for (const tree of channel.trees) {
    const root = bytes(tree.root);
    for (const [index, path] of tree.paths.entries()) {
      const leaf = await batchLeaf(bytes(tree.binders[index]));
      assert.equal(hex(leaf), tree.leaves[index]);
      const proof = { index, size: tree.size, path: path.map(bytes), root };
      assert(await verifyInclusion(leaf, proof));
      assert(!(await verifyInclusion(await batchLeaf(new Uint8Array(32)), proof)));
      assert(!(await verifyInclusion(leaf, { ...proof, index: tree.size })));
      assert(!(await verifyInclusion(leaf, { ...proof, index: -1 })));
      assert(!(await verifyInclusion(leaf, { ...proof, path: [...proof.path, root] })));
      assert(!(await verifyInclusion(leaf, { ...proof, root: new Uint8Array(32) })));
      if (tree.size > 1) {
        assert(!(await verifyInclusion(leaf, { ...proof, path: proof.path.slice(1) })));
        assert(!(await verifyInclusion(leaf, { ...proof, index: (index + 1) % tree.size })));
      }
    }
  }
});

test('a tree of any size has the path lengths that its shape gives', () => {
  const depth = (/** @type {number} */ size, /** @type {number} */ index) => {
    if (size === 1) return 0;
    const split = 2 ** Math.ceil(Math.log2(size) - 1);
    return 1 + /** @type {number} */ (index < split ? depth(split, index) : depth(size - split, index - split));
  };
  for (let size = 1; size < 70; size += 1) for (let index = 0; index < size; index += 1) assert.equal(pathLength(size, index), depth(size, index));
});

test('sections 4 and 5: claims and instance certificate', async () => {
  const claims = readClaims(raw('claims', 'claims'));
  assert.equal(claims.size, 5);
  same(claims.deployment, raw('server', 'deployment'));
  same(claims.instance, await sha256(raw('server', 'instance_key')));
  same(await reportData(raw('claims', 'claims')), raw('claims', 'report_data'));
  const label = 'strongroom claims signature v1';
  assert(await verifyLabelled(raw('server', 'instance_key'), label, raw('claims', 'claims'), raw('claims', 'signature')));
  assert(!(await verifyLabelled(raw('server', 'instance_key'), 'another label', raw('claims', 'claims'), raw('claims', 'signature'))));
  assert(!(await verifyLabelled(new Uint8Array(31), label, raw('claims', 'claims'), raw('claims', 'signature'))));

  const shown = channel.instance_certificate;
  const certificate = readInstanceCertificate(bytes(shown.certificate));
  assert.equal(certificate.notBefore, BigInt(shown.not_before));
  assert.equal(certificate.notAfter, BigInt(shown.not_after));
  assert.equal(certificate.epoch, BigInt(shown.epoch));
  same(certificate.machine, bytes(shown.machine));
  same(await machineId(bytes(shown.platform_id)), bytes(shown.machine));
  assert(await isSignedBy(certificate, raw('server', 'deployment_key')));
  assert(!(await isSignedBy(certificate, raw('server', 'instance_key'))));
});

test('section 7: requests are sealed as recorded, answers open once and for their request only', async () => {
  const client = await ClientChannel.open(keys);
  const byNumber = new Map(channel.messages.map((/** @type {any} */ message) => [message.request_number, message]));
  for (const number of [0, 1]) {
    const message = byNumber.get(number);
    const sealed = await client.sealRequest(bytes(message.request));
    assert.equal(sealed.number, BigInt(number));
    same(sealed.message, bytes(message.sealed_request));
  }
  const [first, second] = channel.messages;
  await assert.rejects(client.openAnswer(bytes(first.sealed_answer), BigInt(second.request_number)), MalformedMessage);
  const opened = await Promise.allSettled([1, 2].map(() => client.openAnswer(bytes(first.sealed_answer), BigInt(first.request_number))));
  assert.deepEqual(opened.map((item) => item.status), ['fulfilled', 'rejected'], 'the same answer twice at once');
  same(await client.openAnswer(bytes(second.sealed_answer), BigInt(second.request_number)), bytes(second.answer));
  await assert.rejects(client.openAnswer(bytes(second.sealed_answer), BigInt(second.request_number)), /replayed/);
  await assert.rejects(client.openAnswer(bytes(first.sealed_request).slice(16), 1n), MalformedMessage, 'a message of the other direction');
  await assert.rejects(client.openAnswer(new Uint8Array(23), 0n), MalformedMessage);
});

test('section 7: binary HTTP is written as recorded', () => {
  for (const message of channel.messages) {
    const request = readRequest(bytes(message.request));
    assert.equal(new TextDecoder().decode(request.path), '/v1/vault/fetch');
    same(encodeRequest(request), bytes(message.request));
    const response = readResponse(bytes(message.answer));
    assert.equal(response.status, 200);
    same(encodeResponse(response), bytes(message.answer));
  }
});

test('binary HTTP of other kinds is malformed', () => {
  const response = bytes(channel.messages[0].answer);
  for (const [at, value] of [[0, 0], [0, 2], [1, 0x00], [response.length - 1, 1]]) {
    const other = response.slice();
    other[at] = value;
    assert.throws(() => readResponse(other), MalformedMessage);
  }
  assert.throws(() => readResponse(Uint8Array.of(1, 0x40, 99)), /final status/);
  assert.throws(() => readResponse(Uint8Array.of(1, 0x40, 200, 0, 0, 1)), /trailers/);
  assert.throws(() => readResponse(Uint8Array.of(1, 0x40, 200, 5, 0)), /headers end too early/);
  assert.throws(() => readResponse(Uint8Array.of(1, 0x40, 200, 2, 0, 1, 65)), /headers/);
  assert.throws(() => readResponse(Uint8Array.of(1, 0x40, 200, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), MalformedMessage);
  assert.deepEqual(readResponse(Uint8Array.of(1, 0x40, 200)).content, new Uint8Array(), 'sections cut off count as empty');
  const many = Array.from({ length: 129 }, () => /** @type {[Uint8Array, Uint8Array]} */ ([utf8('a'), utf8('b')]));
  assert.throws(() => readResponse(encodeResponse({ status: 200, headers: many, content: new Uint8Array() })), /more than 128/);
  for (const length of [0, 63, 64, 16383, 16384, 70000]) {
    assert.equal(readResponse(encodeResponse({ status: 200, headers: [], content: new Uint8Array(length) })).content.length, length);
  }
});

test('the replay window takes each number once, in nearly any order, in constant memory', () => {
  const window = new ReplayWindow();
  for (const number of [0n, 5n, 3n, 2000n, 2n ** 64n - 1n]) {
    assert(window.mayAccept(number));
    window.accept(number);
    assert(!window.mayAccept(number));
  }
  assert(!window.mayAccept(4n), 'too old to tell');
  assert(window.mayAccept(2n ** 64n - BigInt(WINDOW)));
  assert(!window.mayAccept(2n ** 64n - 1n - BigInt(WINDOW)));
});

test('an exchange takes one answer, and an answer to another hello is refused by name', async () => {
  const terms = { policy: await readPolicy(standingPolicy(new Uint8Array(32))), deployment: raw('server', 'deployment'), maxElapsedSeconds: 60 };
  const exchange = await ClientExchange.begin(terms);
  const when = { elapsedSeconds: 0.1, at: Date.UTC(2026, 10, 24) };
  await assert.rejects(exchange.finish(raw('answer', 'answer'), when), (error) => {
    assert(error instanceof AppraisalRefused);
    assert.deepEqual(error.findings.map((item) => [item.check, item.section]), [['key-binding', 'attested-channel 3']]);
    return true;
  });
  await assert.rejects(exchange.finish(raw('answer', 'answer'), when), /has had its answer/);
});

test('an answer that chose something else, or whose collateral is not there, is malformed', async () => {
  const recorded = decode(raw('answer', 'answer'), { path: '', maxBytes: 1 << 20 });
  const core = decode(raw('server', 'core'), { path: '', maxBytes: 1 << 20 });
  const terms = { policy: await readPolicy(standingPolicy(new Uint8Array(32))), deployment: null, maxElapsedSeconds: 60 };
  const when = { elapsedSeconds: 0.1, at: 0 };
  const altered = (/** @type {[string, unknown][]} */ ...changes) => encode(new Map([...recorded, ...changes]));
  const recordedExchange = async () => {
    const key = await HpkePrivateKey.fromSeeds(raw('client', 'mlkem_seed'), raw('client', 'x25519_private_key'));
    return new ClientExchange(terms, key, raw('client', 'hello'), new Map(), undefined);
  };
  const otherCore = encode(new Map([...core, ['suite', 2]]));
  await assert.rejects((await recordedExchange()).finish(altered(['core', otherCore]), when), /not offered/);
  await assert.rejects((await recordedExchange()).finish(altered(['collateral', null]), when), /neither stapled nor known/);
  await assert.rejects((await recordedExchange()).finish(altered(['collateral', utf8('{}')]), when), /not the one announced/);
  await assert.rejects((await recordedExchange()).finish(altered(['confirmation', new Uint8Array(32)]), when), /saw another exchange/);
  await assert.rejects((await recordedExchange()).finish(altered(['more', 1]), when), MalformedMessage);
});

test('any bytes give a value or a malformed message', () => {
  const draw = draws(7);
  const readers = /** @type {[(data: Uint8Array) => unknown, Uint8Array][]} */ ([
    [readAnswer, raw('answer', 'answer')],
    [readCore, raw('server', 'core')],
    [readClaims, raw('claims', 'claims')],
    [readInstanceCertificate, raw('instance_certificate', 'certificate')],
    [readResponse, bytes(channel.messages[0].answer)],
    [readRequest, bytes(channel.messages[0].request)],
  ]);
  for (const [reader, original] of readers) {
    for (let round = 0; round < 400; round += 1) {
      const data = round % 2 ? damaged(original, draw) : Uint8Array.from({ length: draw(200) }, () => draw(256));
      try {
        reader(data);
      } catch (error) {
        assert(error instanceof MalformedMessage, String(error));
      }
    }
  }
});
