/**
 * Intel's extension of the PCK certificate (OID 1.2.840.113741.1.13.1): the platform, its security version numbers and
 * its kind. A SEQUENCE of (OID, value) pairs, 5 from the Processor CA, 7 from the Platform CA; every pair once, in any
 * order, at its own place only (Intel SGX PCK Certificate and CRL Profile Specification).
 */
import { concat, equal } from '../base/bytes.js';
import { DerReader, ENUMERATED, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE } from '../base/der.js';
import { MalformedCollateral } from '../base/errors.js';

export const PCK_EXTENSION_OID = '1.2.840.113741.1.13.1';
export const COMPONENTS = 16;
const MAX_BYTES = 2048;
const PATH = 'PCK extension';
const PREFIX = Uint8Array.from([0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01]);
const [PPID, TCB, PCE_ID, FMSPC, SGX_TYPE, INSTANCE, CONFIGURATION] = [1, 2, 3, 4, 5, 6, 7];
const SGX_TYPES = ['standard', 'scalable', 'scalable_with_integrity'];

/**
 * `ppid` 16 bytes, `pceId` 2, `fmspc` 6, `components` 16 numbers, `cpuSvn` 16 bytes; `configuration` undefined unless
 * the platform has more than one package.
 * @typedef {{ppid: Uint8Array, components: number[], pceSvn: number, cpuSvn: Uint8Array, pceId: Uint8Array,
 *   fmspc: Uint8Array, sgxType: string, platformInstanceId: Uint8Array | undefined,
 *   configuration: {dynamicPlatform: boolean, cachedKeys: boolean, smtEnabled: boolean} | undefined}} PckExtension
 */

/** @param {Uint8Array} data @returns {PckExtension} */
export function readPckExtension(data) {
  if (data.length > MAX_BYTES) throw new MalformedCollateral(`${data.length} bytes, at most ${MAX_BYTES} are read`, { path: PATH });
  const outer = new DerReader(data, { path: PATH, error: MalformedCollateral });
  const whole = outer.enter(SEQUENCE, 'sequence');
  outer.expectEnd();
  const pairs = readPairs(whole, PREFIX, 7);
  if (pairs.size !== 7 && !(pairs.size === 5 && !pairs.has(INSTANCE) && !pairs.has(CONFIGURATION))) {
    throw whole.fail(`${pairs.size} elements, not 1 to 5 or 1 to 7`);
  }
  const at = (/** @type {number} */ arc) => /** @type {DerReader} */ (pairs.get(arc));
  const instance = pairs.has(INSTANCE);
  const value = {
    ppid: octets(at(PPID), 16, 'PPID'),
    ...readTcb(at(TCB)),
    pceId: octets(at(PCE_ID), 2, 'PCEID'),
    fmspc: octets(at(FMSPC), 6, 'FMSPC'),
    sgxType: SGX_TYPES[at(SGX_TYPE).number('SGX type', SGX_TYPES.length - 1, ENUMERATED)],
    platformInstanceId: instance ? octets(at(INSTANCE), 16, 'platform instance id') : undefined,
    configuration: instance ? readConfiguration(at(CONFIGURATION)) : undefined,
  };
  for (const pair of pairs.values()) pair.expectEnd();
  return Object.freeze(value);
}

/** The value of each pair under `prefix` by its last arc, each arc from 1 to `last` at most once. @param {DerReader} reader @param {Uint8Array} prefix @param {number} last */
function readPairs(reader, prefix, last) {
  const pairs = new Map();
  while (reader.remaining) {
    const pair = reader.enter(SEQUENCE, 'pair');
    const name = pair.take(OBJECT_IDENTIFIER, 'OID');
    const below = name.length === prefix.length + 1 && equal(name.slice(0, -1), prefix);
    const arc = below ? name[name.length - 1] : 0;
    if (arc < 1 || arc > last) throw reader.fail('an OID that does not belong here');
    if (pairs.has(arc)) throw reader.fail(`element ${arc} occurs twice`);
    pairs.set(arc, pair);
  }
  return pairs;
}

function octets(/** @type {DerReader} */ reader, /** @type {number} */ length, /** @type {string} */ field) {
  const value = reader.take(OCTET_STRING, field);
  if (value.length !== length) throw reader.fail(`${field} has ${value.length} bytes, not ${length}`);
  return value;
}

function readTcb(/** @type {DerReader} */ reader) {
  const count = COMPONENTS + 2;
  const pairs = readPairs(reader.enter(SEQUENCE, 'TCB'), concat(PREFIX, Uint8Array.of(TCB)), count);
  if (pairs.size !== count) throw reader.fail(`TCB has ${pairs.size} elements, not ${count}`);
  const tcb = {
    components: Array.from({ length: COMPONENTS }, (_, i) => pairs.get(i + 1).number(`component ${i + 1}`, 255)),
    pceSvn: pairs.get(COMPONENTS + 1).number('PCESVN', 0xffff),
    cpuSvn: octets(pairs.get(COMPONENTS + 2), 16, 'CPUSVN'),
  };
  for (const pair of pairs.values()) pair.expectEnd();
  return tcb;
}

function readConfiguration(/** @type {DerReader} */ reader) {
  const pairs = readPairs(reader.enter(SEQUENCE, 'configuration'), concat(PREFIX, Uint8Array.of(CONFIGURATION)), 3);
  if (pairs.size !== 3) throw reader.fail(`configuration has ${pairs.size} elements, not 3`);
  const configuration = {
    dynamicPlatform: pairs.get(1).boolean('dynamic platform'),
    cachedKeys: pairs.get(2).boolean('cached keys'),
    smtEnabled: pairs.get(3).boolean('SMT enabled'),
  };
  for (const pair of pairs.values()) pair.expectEnd();
  return Object.freeze(configuration);
}
