/** Deterministic CBOR: one value has one encoding, one encoding one value, and anything else is malformed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex } from '../src/base/bytes.js';
import { decode, encode } from '../src/base/canonical.js';
import { Malformed } from '../src/base/errors.js';
import { Fields } from '../src/base/fields.js';
import { bytes, draws } from '../testing/vectors.js';

const options = { path: 'test', maxBytes: 1000 };

/** RFC 8949 appendix A, as far as the subset goes. */
const examples = /** @type {[unknown, string][]} */ ([
  [0, '00'], [23, '17'], [24, '1818'], [255, '18ff'], [256, '190100'], [65536, '1a00010000'], [1000000, '1a000f4240'],
  [1000000000000, '1b000000e8d4a51000'], [18446744073709551615n, '1bffffffffffffffff'], [-1, '20'], [-100, '3863'],
  [-18446744073709551616n, '3bffffffffffffffff'], [false, 'f4'], [true, 'f5'], [null, 'f6'],
  [new Uint8Array(), '40'], [Uint8Array.of(1, 2, 3, 4), '4401020304'], ['', '60'], ['a', '6161'], ['ü', '62c3bc'], ['𐅑', '64f0908591'],
  [[], '80'], [[1, [2, 3]], '8201820203'], [new Map(), 'a0'], [new Map([[1, 2], [3, 4]]), 'a201020304'],
  [new Map([['a', 'A'], ['b', 'B']]), 'a26161614161626142'],
]);

test('examples both ways', () => {
  for (const [value, encoded] of examples) {
    assert.equal(hex(encode(value)), encoded);
    assert.deepEqual(decode(bytes(encoded), options), value);
  }
});

test('keys are written in bytewise order of their encoding', () => {
  assert.equal(hex(encode({ bb: 1, a: 2, b: 3 })), 'a361610261620362626201');
  assert.equal(hex(encode(new Map(/** @type {any} */ ([['a', 1], [Uint8Array.of(1), 2], [9, 3]])))), 'a309034101026161 01'.replace(' ', ''));
});

test('other encodings are malformed', () => {
  const wrong = {
    '1817': 'shortest', '190017': 'shortest', '1900ff': 'shortest', '1a0000ffff': 'shortest', '1b00000000ffffffff': 'shortest',
    '5f4101ff': 'indefinite', '9f01ff': 'indefinite', 'bf6161 01ff': 'indefinite', 'f7': 'simple', 'f90000': 'floats', 'f8ff': 'simple',
    'c001': 'tags', '0000': 'after the value', '': 'wanted', '42 01': 'wanted', '9bffffffffffffffff': 'announced', '82 01': 'announced',
    'bbffffffffffffffff': 'announced', 'a1f501': 'map keys', 'a18001': 'map keys', 'a2 6162 01 6161 02': 'order', 'a2 01 01 01 02': 'repeated',
    '61ff': 'UTF-8', '63eda080': 'UTF-8', '5bffffffffffffffff': 'wanted', '1c': 'indefinite', '8181818181818181818181818181818181 80': 'nested',
  };
  for (const [encoded, rule] of Object.entries(wrong)) {
    assert.throws(() => decode(bytes(encoded.replaceAll(' ', '')), options), (error) => error instanceof Malformed && error.message.includes(rule), encoded);
  }
  assert.throws(() => decode(new Uint8Array(1001), options), /at most 1000/);
});

test('what cannot be encoded is a mistake of the caller', () => {
  for (const value of [1.5, NaN, undefined, 2n ** 64n, -(2n ** 64n) - 1n, Symbol('a'), new Date(), '\ud800', new Map([[true, 1]]), 2 ** 53]) {
    assert.throws(() => encode(value), (error) => error instanceof TypeError || error instanceof RangeError);
  }
});

test('whatever is decoded is encoded to the same bytes', () => {
  const draw = draws(3);
  let values = 0;
  for (let round = 0; round < 20000; round += 1) {
    const data = Uint8Array.from({ length: 1 + draw(12) }, () => [draw(256), 0x40 + draw(8), 0x80 + draw(4), 0xa0 + draw(3)][draw(4)]);
    try {
      assert.equal(hex(encode(decode(data, options))), hex(data));
      values += 1;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
    }
  }
  assert(values > 300);
});

test('fields are typed, and every one is asked for', () => {
  const fields = () => Fields.decode(encode({ a: 1, b: Uint8Array.of(1, 2), c: 'text', d: null, e: [Uint8Array.of(3)], f: 2n ** 63n }), { ...options, error: Malformed });
  assert.equal(fields().number('a', 1), 1);
  assert.equal(fields().bigint('a'), 1n);
  assert.equal(fields().optionalBytes('d', { length: 3 }), null);
  assert.equal(fields().text('c', 4), 'text');
  const wrong = /** @type {((all: Fields) => unknown)[]} */ ([
    (all) => all.number('a', 0), (all) => all.number('b', 5), (all) => all.number('z', 5), (all) => all.bytes('a', {}), (all) => all.bytes('b', { length: 3 }),
    (all) => all.bytes('b', { atMost: 1 }), (all) => all.bytes('d', { atMost: 1 }), (all) => all.text('c', 3), (all) => all.text('a', 3), (all) => all.bigint('f'),
    (all) => all.bigint('c'), (all) => all.exactly('a', 2), (all) => all.exactly('c', 'tex'), (all) => all.byteStrings('e', { length: 2, atMost: 1 }),
    (all) => all.byteStrings('e', { length: 1, atMost: 0 }), (all) => all.byteStrings('a', { length: 1, atMost: 1 }), (all) => all.done(),
    (all) => all.optionalBytes('z', {}),
  ]);
  for (const read of wrong) assert.throws(() => read(fields()), Malformed);
  assert.throws(() => Fields.decode(encode([]), { ...options, error: Malformed }), /not a map/);
});
