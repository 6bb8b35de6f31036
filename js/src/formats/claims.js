/** Claims and the instance certificate: what an enclave says of itself, and its deployment's word for it (docs/spec/attested-channel.md 4, 5). */
import { concat, labelledHash, sha256 } from '../base/bytes.js';
import { MalformedMessage } from '../base/errors.js';
import { Fields } from '../base/fields.js';
import { verifyLabelled } from '../base/signatures.js';

export const MAX_BATCH = 1 << 14;
export const MAX_LIFETIME_MS = 24n * 60n * 60n * 1000n;
const CLAIMS_LABEL = 'strongroom claims v1';
const CERTIFICATE_LABEL = 'strongroom instance certificate v1';

/**
 * One batch's claims; `root` and the hashes have 32 bytes.
 * @typedef {{root: Uint8Array, size: number, deployment: Uint8Array, instance: Uint8Array, headKey: Uint8Array,
 *   epoch: bigint, release: Uint8Array}} Claims
 */

/**
 * Times are Unix milliseconds; `statement` is what the deployment key signed.
 * @typedef {{statement: Uint8Array, signature: Uint8Array, deployment: Uint8Array, instanceKey: Uint8Array, epoch: bigint,
 *   machine: Uint8Array, notBefore: bigint, notAfter: bigint}} InstanceCertificate
 */

/** A repeated or unknown claim is malformed. @param {Uint8Array} data @returns {Claims} */
export function readClaims(data) {
  const fields = Fields.decode(data, { path: 'claims', error: MalformedMessage, maxBytes: 512 });
  fields.exactly('label', CLAIMS_LABEL);
  const claims = {
    root: fields.bytes('root', { length: 32 }),
    size: fields.number('size', MAX_BATCH),
    deployment: fields.bytes('deployment', { length: 32 }),
    instance: fields.bytes('instance', { length: 32 }),
    headKey: fields.bytes('head_key', { length: 32 }),
    epoch: fields.bigint('epoch'),
    release: fields.bytes('release', { length: 32 }),
  };
  fields.done();
  if (claims.size === 0) throw fields.fail('a batch has at least one leaf');
  return Object.freeze(claims);
}

/** The 64 bytes of report data that commit to encoded claims. @param {Uint8Array} claims */
export const reportData = async (claims) => concat(await sha256(claims), new Uint8Array(32));

/** The signature is not checked here. @param {Uint8Array} data @returns {InstanceCertificate} */
export function readInstanceCertificate(data) {
  const path = 'instance certificate';
  const outer = Fields.decode(data, { path, error: MalformedMessage, maxBytes: 1024 });
  const statement = outer.bytes('certificate', { atMost: 512 });
  const signature = outer.bytes('signature', { length: 64 });
  outer.done();
  const fields = Fields.decode(statement, { path, error: MalformedMessage, maxBytes: 512 });
  fields.exactly('label', CERTIFICATE_LABEL);
  const certificate = {
    statement,
    signature,
    deployment: fields.bytes('deployment', { length: 32 }),
    instanceKey: fields.bytes('instance_key', { length: 32 }),
    epoch: fields.bigint('epoch'),
    machine: fields.bytes('machine', { length: 32 }),
    notBefore: fields.bigint('not_before'),
    notAfter: fields.bigint('not_after'),
  };
  fields.done();
  return Object.freeze(certificate);
}

/** Tell whether a deployment key signed a certificate. @param {InstanceCertificate} certificate @param {Uint8Array} deploymentKey */
export const isSignedBy = (certificate, deploymentKey) =>
  verifyLabelled(deploymentKey, CERTIFICATE_LABEL, certificate.statement, certificate.signature);

/** Name a machine by a hash of the identifier in its evidence. @param {Uint8Array} platformId */
export const machineId = (platformId) => labelledHash('strongroom v1 machine', platformId);
