/** The two messages of the exchange: the client's hello and the server's answer (docs/spec/attested-channel.md 2, 3). */
import { encode } from '../base/canonical.js';
import { MalformedMessage } from '../base/errors.js';
import { Fields } from '../base/fields.js';
import { MAX_BATCH } from '../formats/claims.js';
import { KIND } from '../verifier/appraisal.js';
import { SEALED_SECRET_BYTES } from './hpke.js';

const VERSION = 1;
export const SUITE_1 = 1;
const MAX_HELLO_BYTES = 4 * 1024;
const MAX_EVIDENCE_BYTES = 32 * 1024;
const MAX_COLLATERAL_BYTES = 256 * 1024;
export const MAX_ANSWER_BYTES = MAX_EVIDENCE_BYTES + MAX_COLLATERAL_BYTES + 16 * 1024;
export const MAX_KNOWN_COLLATERAL = 8;
const MAX_PATH = 15;

/** Encode a hello; these exact bytes enter the transcript. @param {{deployment: Uint8Array | null, nonce: Uint8Array, kemKey: Uint8Array, knownCollateral: Uint8Array[]}} offer */
export const encodeHello = ({ deployment, nonce, kemKey, knownCollateral }) =>
  encode({ version: VERSION, suites: [SUITE_1], evidence: [KIND], deployment, nonce, kem_key: kemKey, known_collateral: knownCollateral });

/** What a server chooses, before there is evidence. @typedef {{suite: number, evidence: string, sealedSecret: Uint8Array, deploymentKey: Uint8Array, collateralDigest: Uint8Array}} AnswerCore */

/** @param {Uint8Array} data @returns {AnswerCore} */
export function readCore(data) {
  const fields = Fields.decode(data, { path: 'answer core', error: MalformedMessage, maxBytes: MAX_HELLO_BYTES });
  fields.exactly('version', VERSION);
  const core = {
    suite: fields.number('suite', Number.MAX_SAFE_INTEGER),
    evidence: fields.text('evidence', 32),
    sealedSecret: fields.bytes('sealed_secret', { length: SEALED_SECRET_BYTES }),
    deploymentKey: fields.bytes('deployment_key', { length: 32 }),
    collateralDigest: fields.bytes('collateral_digest', { length: 32 }),
  };
  fields.done();
  return core;
}

/**
 * The whole answer. `core` stays encoded, because its bytes are hashed; `collateral` is JSON or null.
 * @typedef {{core: Uint8Array, confirmation: Uint8Array, evidence: Uint8Array, claims: Uint8Array, claimsSignature: Uint8Array,
 *   instanceCertificate: Uint8Array, index: number, path: Uint8Array[], collateral: Uint8Array | null}} ServerAnswer
 */

/** @param {Uint8Array} data @returns {ServerAnswer} */
export function readAnswer(data) {
  const fields = Fields.decode(data, { path: 'answer', error: MalformedMessage, maxBytes: MAX_ANSWER_BYTES });
  const answer = {
    core: fields.bytes('core', { atMost: MAX_HELLO_BYTES }),
    confirmation: fields.bytes('confirmation', { length: 32 }),
    evidence: fields.bytes('evidence', { atMost: MAX_EVIDENCE_BYTES }),
    claims: fields.bytes('claims', { atMost: 512 }),
    claimsSignature: fields.bytes('claims_signature', { length: 64 }),
    instanceCertificate: fields.bytes('instance_certificate', { atMost: 1024 }),
    index: fields.number('index', MAX_BATCH - 1),
    path: fields.byteStrings('path', { length: 32, atMost: MAX_PATH }),
    collateral: fields.optionalBytes('collateral', { atMost: MAX_COLLATERAL_BYTES }),
  };
  fields.done();
  return answer;
}
