/**
 * Appraisal policy for evidence: which code on which platforms in which state is accepted.
 *
 * The settings are those of the policy file (docs/spec/appraisal.md section 9), as a JavaScript object: bytes as
 * hexadecimal text, `"any"` for what is left open on purpose. Every setting must be there and an unknown one is refused;
 * an empty list accepts nothing. A policy has the same digest here as in Python.
 */
import { compare, fromHex, hex, labelledHash } from '../base/bytes.js';
import { encode } from '../base/canonical.js';
import { Misconfigured } from '../base/errors.js';
import { TCB_STATUSES } from '../formats/tcb-info.js';
import { SIMULATED_VENDOR } from './chains.js';

/** One root key that chains may end in. `vendor` is what the names of all certificates below it begin with. @typedef {{name: string, publicKey: Uint8Array, simulated: boolean, vendor: string}} Anchor */
/** @typedef {{mrSigner: Uint8Array, isvProdId: number, minimumIsvSvn: number}} SignerRule */
/** `undefined` where a rule leaves a thing open. @typedef {{status: string, measurement: Uint8Array | undefined, advisories: string[] | undefined, maximumTcbAgeMs: number | undefined}} TcbRule */
/**
 * @typedef {object} Policy
 * @property {readonly Anchor[]} anchors
 * @property {boolean} acceptSimulatedPlatform
 * @property {boolean} acceptDebugEnclaves
 * @property {Uint8Array[]} mrEnclaves
 * @property {SignerRule[]} signers
 * @property {TcbRule[]} tcb
 * @property {number} minimumTcbEvaluationDataNumber
 * @property {number | undefined} maximumCollateralAgeMs
 * @property {number} expiredCollateralGraceMs
 * @property {Uint8Array[] | undefined} platforms
 * @property {Record<'smt_enabled' | 'dynamic_platform' | 'cached_keys', boolean | undefined>} platformFlags
 * @property {Uint8Array} digest SHA-256 over the canonical encoding.
 */

export const INTEL_SGX_ROOT = Object.freeze({
  name: 'Intel SGX Root CA',
  // the key of "Intel SGX Root CA", as published with the certificate and compiled into Intel's QvE
  publicKey: /** @type {Uint8Array} */ (
    fromHex(
      '3059301306072a8648ce3d020106082a8648ce3d030107034200040ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5' +
        '67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394',
    )
  ),
  simulated: false,
  vendor: 'Intel',
});
const BUILT_IN_ANCHORS = new Map([['intel-sgx', INTEL_SGX_ROOT]]);
export const PLATFORM_FLAGS = /** @type {const} */ (['smt_enabled', 'dynamic_platform', 'cached_keys']);
const MAX_SECONDS = 10 * 366 * 86_400;
const MR_ENCLAVE_BYTES = 32;
const MR_TD_BYTES = 48;

/** Read a policy's settings, or throw `Misconfigured` naming the setting. @param {unknown} table @returns {Promise<Policy>} */
export async function readPolicy(table) {
  const settings = new Settings(table, '');
  if (settings.take('version') !== 1) throw settings.fail('version', 'is not 1');
  const anchors = settings.list('anchors').map((item, at) => readAnchor(item, `anchors[${at}]`));
  const policy = {
    anchors: Object.freeze(anchors),
    acceptSimulatedPlatform: settings.boolean('accept_simulated_platform'),
    acceptDebugEnclaves: settings.boolean('accept_debug_enclaves'),
    mrEnclaves: settings.digests('mr_enclaves', MR_ENCLAVE_BYTES),
    signers: settings.list('signers').map((item, at) => readSigner(item, `signers[${at}]`)),
    tcb: settings.list('tcb').map((item, at) => readTcbRule(item, `tcb[${at}]`)),
    minimumTcbEvaluationDataNumber: settings.number('minimum_tcb_evaluation_data_number', 0xffffffff),
    maximumCollateralAgeMs: settings.anyOr('maximum_collateral_age_seconds', () => milliseconds(settings, 'maximum_collateral_age_seconds')),
    expiredCollateralGraceMs: milliseconds(settings, 'expired_collateral_grace_seconds'),
    platforms: settings.anyOr('platforms', () => settings.digests('platforms', 16)),
    platformFlags: /** @type {Policy['platformFlags']} */ (
      Object.fromEntries(PLATFORM_FLAGS.map((name) => [name, settings.anyOr(name, () => settings.boolean(name))]))
    ),
  };
  if (settings.list('trust_domains').length) throw settings.fail('trust_domains', 'is not empty; this module judges enclaves only');
  settings.done();
  return Object.freeze({ ...policy, digest: await digestOf(policy) });
}

/**
 * The settings of a client that was given no policy: exactly this code on an up-to-date platform, never debug.
 * @param {Uint8Array} mrEnclave
 * @param {{simulatedRoot?: Uint8Array | null}} [options] The public key (SubjectPublicKeyInfo) of a simulated platform's
 *   root. With it the evidence has to come from that simulated platform, which proves no hardware.
 */
export function standingPolicy(mrEnclave, { simulatedRoot = null } = {}) {
  const simulated = simulatedRoot && { name: `${SIMULATED_VENDOR} SGX Root CA`, public_key: hex(simulatedRoot), simulated: true, vendor: SIMULATED_VENDOR };
  return {
    version: 1,
    anchors: simulated ? [simulated] : ['intel-sgx'],
    accept_simulated_platform: simulated !== null,
    accept_debug_enclaves: false,
    mr_enclaves: [hex(mrEnclave)],
    signers: [],
    trust_domains: [],
    tcb: [{ status: 'UpToDate', measurement: 'any', advisories: 'any', maximum_tcb_age_seconds: 'any' }],
    minimum_tcb_evaluation_data_number: 0,
    maximum_collateral_age_seconds: 'any',
    expired_collateral_grace_seconds: 0,
    platforms: 'any',
    smt_enabled: 'any',
    dynamic_platform: 'any',
    cached_keys: 'any',
  };
}

function digestOf(/** @type {Omit<Policy, 'digest'>} */ policy) {
  const ascending = (/** @type {Uint8Array[]} */ items) => unique(items).sort(compare);
  const seconds = (/** @type {number | undefined} */ ms) => (ms === undefined ? 'any' : ms / 1000);
  const encoded = encode({
    version: 1,
    anchors: policy.anchors.map(({ name, publicKey, simulated, vendor }) => ({ name, public_key: publicKey, simulated, vendor })),
    accept_simulated_platform: policy.acceptSimulatedPlatform,
    accept_debug_enclaves: policy.acceptDebugEnclaves,
    mr_enclaves: ascending(policy.mrEnclaves),
    signers: policy.signers.map(({ mrSigner, isvProdId, minimumIsvSvn }) => ({
      mr_signer: mrSigner,
      isv_prod_id: isvProdId,
      minimum_isv_svn: minimumIsvSvn,
    })),
    trust_domains: [],
    tcb: policy.tcb.map(({ status, measurement, advisories, maximumTcbAgeMs }) => ({
      status,
      measurement: measurement ?? 'any',
      advisories: advisories === undefined ? 'any' : [...new Set(advisories)].sort(),
      maximum_tcb_age_seconds: seconds(maximumTcbAgeMs),
    })),
    minimum_tcb_evaluation_data_number: policy.minimumTcbEvaluationDataNumber,
    maximum_collateral_age_seconds: seconds(policy.maximumCollateralAgeMs),
    expired_collateral_grace_seconds: seconds(policy.expiredCollateralGraceMs),
    platforms: policy.platforms ? ascending(policy.platforms) : 'any',
    ...Object.fromEntries(PLATFORM_FLAGS.map((name) => [name, policy.platformFlags[name] ?? 'any'])),
  });
  return labelledHash('strongroom appraisal policy v1', encoded);
}

const unique = (/** @type {Uint8Array[]} */ items) => [...new Map(items.map((item) => [hex(item), item])).values()];

const milliseconds = (/** @type {Settings} */ settings, /** @type {string} */ name) => settings.number(name, MAX_SECONDS) * 1000;

function readAnchor(/** @type {unknown} */ item, /** @type {string} */ path) {
  if (typeof item === 'string') {
    const known = BUILT_IN_ANCHORS.get(item);
    if (known === undefined) throw new Misconfigured(`there is no built-in anchor '${item}'`, { setting: path });
    return known;
  }
  const settings = new Settings(item, path);
  const anchor = {
    name: settings.text('name'),
    publicKey: settings.digest('public_key', INTEL_SGX_ROOT.publicKey.length),
    simulated: settings.boolean('simulated'),
    vendor: settings.text('vendor'),
  };
  settings.done();
  if (anchor.name.startsWith(SIMULATED_VENDOR) && !anchor.simulated) {
    throw new Misconfigured(`the anchor '${anchor.name}' is of a simulated platform and must say so`, { setting: path });
  }
  return Object.freeze(anchor);
}

function readSigner(/** @type {unknown} */ item, /** @type {string} */ path) {
  const settings = new Settings(item, path);
  const rule = {
    mrSigner: settings.digest('mr_signer', 32),
    isvProdId: settings.number('isv_prod_id', 0xffff),
    minimumIsvSvn: settings.number('minimum_isv_svn', 0xffff),
  };
  settings.done();
  return Object.freeze(rule);
}

function readTcbRule(/** @type {unknown} */ item, /** @type {string} */ path) {
  const settings = new Settings(item, path);
  const status = settings.text('status');
  if (!TCB_STATUSES.includes(status)) throw settings.fail('status', 'is no TCB status of an enclave');
  if (status === 'Revoked') throw settings.fail('status', 'is Revoked, which cannot be accepted');
  const rule = {
    status,
    measurement: settings.anyOr('measurement', () => {
      const text = settings.peek('measurement');
      const ofTd = typeof text === 'string' && text.length === 2 * MR_TD_BYTES;
      return settings.digest('measurement', ofTd ? MR_TD_BYTES : MR_ENCLAVE_BYTES);
    }),
    advisories: settings.anyOr('advisories', () => settings.texts('advisories')),
    maximumTcbAgeMs: settings.anyOr('maximum_tcb_age_seconds', () => milliseconds(settings, 'maximum_tcb_age_seconds')),
  };
  settings.done();
  return Object.freeze(rule);
}

/** Typed reading of one table; every setting is taken once, and what is left over is refused. */
class Settings {
  #left;
  #path;

  constructor(/** @type {any} */ table, /** @type {string} */ path) {
    if (typeof table !== 'object' || table === null || Array.isArray(table)) throw new Misconfigured('not a table', { setting: path });
    this.#left = new Map(Object.entries(table));
    this.#path = path;
  }

  fail(/** @type {string} */ name, /** @type {string} */ rule) {
    const where = this.#path ? `${this.#path}.${name}` : name;
    return new Misconfigured(`policy setting '${where}' ${rule}`, { setting: where });
  }

  peek(/** @type {string} */ name) {
    return this.#left.get(name);
  }

  take(/** @type {string} */ name) {
    if (!this.#left.has(name)) throw this.fail(name, 'is missing');
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  boolean(/** @type {string} */ name) {
    const value = this.take(name);
    if (typeof value !== 'boolean') throw this.fail(name, 'is neither true nor false');
    return value;
  }

  text(/** @type {string} */ name) {
    const value = this.take(name);
    if (typeof value !== 'string') throw this.fail(name, 'is not a text');
    return value;
  }

  /** @returns {number} */
  number(/** @type {string} */ name, /** @type {number} */ atMost) {
    const value = this.take(name);
    if (!Number.isInteger(value) || value < 0 || value > atMost) throw this.fail(name, `is not from 0 to ${atMost}`);
    return value;
  }

  /** @returns {unknown[]} */
  list(/** @type {string} */ name) {
    const value = this.take(name);
    if (!Array.isArray(value)) throw this.fail(name, 'is not a list');
    return value;
  }

  /** @returns {string[]} */
  texts(/** @type {string} */ name) {
    const items = this.list(name);
    if (!items.every((item) => typeof item === 'string')) throw this.fail(name, 'holds something else than texts');
    return /** @type {string[]} */ (items);
  }

  digest(/** @type {string} */ name, /** @type {number} */ length) {
    return this.#digest(name, this.take(name), length);
  }

  digests(/** @type {string} */ name, /** @type {number} */ length) {
    return this.list(name).map((item) => this.#digest(name, item, length));
  }

  /** `undefined` for "any". @template T @param {string} name @param {() => T} read */
  anyOr(name, read) {
    if (this.#left.get(name) !== 'any') return read();
    this.#left.delete(name);
    return undefined;
  }

  done() {
    if (this.#left.size) throw this.fail([...this.#left.keys()].sort()[0], 'is unknown');
  }

  #digest(/** @type {string} */ name, /** @type {unknown} */ text, /** @type {number} */ length) {
    const bytes = typeof text === 'string' ? fromHex(text) : undefined;
    if (bytes?.length !== length) throw this.fail(name, `is not ${length} bytes in hexadecimal`);
    return bytes;
  }
}
