/**
 * Binding: from accepted evidence and a live session to a verdict (docs/spec/attested-channel.md 6).
 *
 * The chain that is checked runs without a gap: pinned deployment key, instance certificate, instance key over the
 * claims, claims in the report data, quote, Merkle root in the claims, this session's binder under the root. The binder
 * comes from the secret that also gives the data keys.
 */
import { concat, equal, hex, sha256, utf8 } from '../base/bytes.js';
import { AppraisalRefused, finding } from '../base/errors.js';
import { verifyLabelled } from '../base/signatures.js';
import { isSignedBy, machineId, MAX_LIFETIME_MS, readClaims, readInstanceCertificate, reportData } from '../formats/claims.js';
import { readQuote } from '../formats/sgx-quote.js';
import { appraise } from './appraisal.js';
import { verifyInclusion } from './merkle.js';

/** @typedef {import('../base/errors.js').Finding} Finding */
/** @typedef {import('./appraisal.js').AttestationResult} AttestationResult */

const CLAIMS_SIGNATURE_LABEL = 'strongroom claims signature v1';
const LEAF = concat(Uint8Array.of(0), utf8('strongroom leaf 1'));

/**
 * What a server shows beside its evidence, and what this client knows of the session. `binder` and `session` (the
 * transcript hash) are the client's own computation.
 * @typedef {{claims: Uint8Array, claimsSignature: Uint8Array, instanceCertificate: Uint8Array, deploymentKey: Uint8Array,
 *   index: number, path: Uint8Array[], binder: Uint8Array, session: Uint8Array, elapsedSeconds: number}} SessionProof
 */

/**
 * The other end of one channel, proven.
 * @typedef {object} Verdict
 * @property {AttestationResult} result
 * @property {Uint8Array} deployment SHA-256 of the deployment key.
 * @property {boolean} deploymentPinned Whether it was expected, or is seen for the first time.
 * @property {Uint8Array} machine
 * @property {bigint} epoch
 * @property {Uint8Array} headKeyHash
 * @property {Uint8Array} release
 * @property {Uint8Array} session The transcript hash.
 * @property {number} batchSize
 * @property {number} attestedAt Unix milliseconds.
 * @property {number} expiresAt The earliest end of anything that the verdict rests on.
 */

/** The leaf of a binder in a batch's tree. @param {Uint8Array} binder */
export const batchLeaf = (binder) => sha256(concat(LEAF, binder));

/**
 * Appraise evidence and bind it to a session, or throw `AppraisalRefused` with the findings of both.
 * @param {Uint8Array} evidence
 * @param {import('../formats/collateral.js').Collateral} collateral
 * @param {import('./policy.js').Policy} policy
 * @param {SessionProof} proof
 * @param {{expectedDeployment: Uint8Array | null, maxElapsedSeconds: number, at: number, memo?: import('./memo.js').Memo}} options
 *   Without an expected deployment any that the policy's measurements allow is taken, and the verdict says so.
 * @returns {Promise<Verdict>}
 */
export async function attestPeer(evidence, collateral, policy, proof, { expectedDeployment, maxElapsedSeconds, at, memo }) {
  const quote = readQuote(evidence);
  const claims = readClaims(proof.claims);
  const certificate = readInstanceCertificate(proof.instanceCertificate);

  /** @type {Finding[]} */
  const findings = [];
  let result;
  try {
    result = await appraise(evidence, collateral, policy, { at, memo }); // 6.11
  } catch (error) {
    if (!(error instanceof AppraisalRefused)) throw error;
    findings.push(...error.findings);
  }
  findings.push(...(await judgeFreshness(claims, quote.report.reportData, proof, maxElapsedSeconds)));
  findings.push(...(await judgeDeployment(claims, certificate, proof, expectedDeployment, at)));
  if (result) findings.push(...(await judgeMachine(certificate, result)));
  if (findings.length || !result) throw new AppraisalRefused(findings);

  return Object.freeze({
    result,
    deployment: claims.deployment,
    deploymentPinned: expectedDeployment !== null,
    machine: certificate.machine,
    epoch: claims.epoch,
    headKeyHash: claims.headKey,
    release: claims.release,
    session: proof.session,
    batchSize: claims.size,
    attestedAt: at,
    expiresAt: Math.min(Number(certificate.notAfter), result.collateral.expiresAt),
  });
}

/** Steps 6.1 to 6.3: the evidence commits to these claims, the claims to this session, and all of it is recent. @param {import('../formats/claims.js').Claims} claims @param {Uint8Array} quoted @param {SessionProof} proof @param {number} maxElapsedSeconds */
async function judgeFreshness(claims, quoted, proof, maxElapsedSeconds) {
  const committed = await reportData(proof.claims);
  const leaf = await batchLeaf(proof.binder);
  const included = await verifyInclusion(leaf, { index: proof.index, size: claims.size, path: proof.path, root: claims.root });
  return objections([
    ['6.1', 'key-binding', equal(committed, quoted), 'the evidence does not commit to these claims', hex(committed), hex(quoted)],
    ['6.2', 'freshness', included, 'the evidence was not made for this session', '', ''],
    [
      '6.3',
      'freshness',
      proof.elapsedSeconds <= maxElapsedSeconds,
      'the answer took too long to prove that the evidence is recent',
      `at most ${maxElapsedSeconds} s`,
      `${proof.elapsedSeconds.toFixed(1)} s`,
    ],
  ]);
}

/** Steps 6.4 to 6.9: whose deployment this is, and that its key vouches for this instance, now. @param {import('../formats/claims.js').Claims} claims @param {import('../formats/claims.js').InstanceCertificate} certificate @param {SessionProof} proof @param {Uint8Array | null} expected @param {number} at */
async function judgeDeployment(claims, certificate, proof, expected, at) {
  const named = await sha256(proof.deploymentKey);
  const instance = await sha256(certificate.instanceKey);
  const certified = equal(certificate.deployment, named) && (await isSignedBy(certificate, proof.deploymentKey));
  const claimed =
    equal(instance, claims.instance) &&
    (await verifyLabelled(certificate.instanceKey, CLAIMS_SIGNATURE_LABEL, proof.claims, proof.claimsSignature));
  const now = BigInt(Math.floor(at));
  const { notBefore, notAfter } = certificate;
  const valid = notBefore <= now && now < notAfter && notAfter - notBefore <= MAX_LIFETIME_MS;
  return objections([
    [
      '6.4',
      'deployment',
      expected === null || equal(named, expected),
      'this is another deployment than the one expected',
      expected ? hex(expected) : '',
      hex(named),
    ],
    ['6.5', 'deployment', equal(named, claims.deployment), 'the claims name another deployment', hex(named), hex(claims.deployment)],
    [
      '6.6',
      'deployment',
      certified,
      "the deployment key did not sign this instance's certificate",
      `a signature by the key of ${hex(named)}`,
      `a certificate that names ${hex(certificate.deployment)}`,
    ],
    [
      '6.7',
      'deployment',
      claimed,
      'the instance key did not sign the claims',
      `claims by ${hex(instance)}`,
      `claims that name ${hex(claims.instance)}`,
    ],
    [
      '6.8',
      'deployment',
      certificate.epoch === claims.epoch,
      'the instance certificate is of another epoch',
      String(claims.epoch),
      String(certificate.epoch),
    ],
    [
      '6.9',
      'expiry',
      valid,
      'the instance certificate is not valid now',
      `${notBefore} to ${notAfter}, at most ${MAX_LIFETIME_MS} ms`,
      String(now),
    ],
  ]);
}

/** Step 6.10: the certificate was issued for the machine that the evidence comes from. @param {import('../formats/claims.js').InstanceCertificate} certificate @param {AttestationResult} result */
async function judgeMachine(certificate, result) {
  const quoted = await machineId(result.platform.ppid);
  const same = equal(quoted, certificate.machine);
  return objections([
    ['6.10', 'platform', same, 'the instance certificate is of another machine', hex(certificate.machine), hex(quoted)],
  ]);
}

/** @param {[section: string, check: string, holds: boolean, message: string, expected: string, actual: string][]} checks */
function objections(checks) {
  return checks
    .filter(([, , holds]) => !holds)
    .map(([section, check, , message, expected, actual]) => finding(check, `attested-channel ${section}`, message, { expected, actual }));
}
