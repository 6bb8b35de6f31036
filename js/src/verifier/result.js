/**
 * Signed attestation results (JWT) of docs/spec/attestation-results.md, for a client that believes a remote verifier.
 * The pinned key says the algorithm; the token is asked nothing. What k of n verifiers need, and what a word from one
 * of them is worth, is in docs/spec/remote-verifier.md.
 */
import { fromBase64, fromHex, hex, utf8 } from '../base/bytes.js';
import { AppraisalRefused, finding, Malformed, MalformedCollateral, Misconfigured } from '../base/errors.js';
import { parse } from '../base/json.js';
import { verifyEd25519, verifyRaw } from '../base/signatures.js';

const MAX_TOKEN_BYTES = 64 * 1024;
const PROFILE = 'tag:ietf.org,2026:rats/ear#04';
const TIERS = new Set(['none', 'affirming', 'warning', 'contraindicated']);

/** Not a signed attestation result. */
export class MalformedToken extends Malformed {
  static code = 'malformed-token';
}

/** Read a pinned key: `ES256:` or `EdDSA:` and hexadecimal, as `strongroom verifier key` prints it. @param {string} text */
function pinned(text) {
  const [algorithm, digits] = text.split(':');
  const length = new Map([['ES256', 64], ['EdDSA', 32]]).get(algorithm);
  const point = fromHex(digits ?? '');
  if (point === undefined || point.length !== length) {
    throw new Misconfigured('not ES256: or EdDSA: and a public key in hexadecimal', { setting: 'key' });
  }
  return { algorithm, public: point };
}

/**
 * Verify a result with the one key that is trusted for it, at an instant. A refusal of evidence verifies too: look at
 * `accepted`. Throws `MalformedToken`, and `AppraisalRefused` with the findings.
 * @param {string} token
 * @param {string} key
 * @param {{at: Date, maximumAgeSeconds: number, nonce: Uint8Array, clockSkewSeconds?: number}} terms
 */
export async function verifyResult(token, key, { at, maximumAgeSeconds, nonce, clockSkewSeconds = 0 }) {
  const trusted = pinned(key);
  const parts = token.split('.');
  if (token.length > MAX_TOKEN_BYTES || parts.length !== 3) throw new MalformedToken('not three parts of at most 64 KiB', { path: 'token' });
  const [header, payload, signature] = parts.map(octets);
  const said = json(header, 'token.header');
  if (!(said instanceof Map) || [...said.keys()].some((name) => !['alg', 'typ', 'kid'].includes(name)) || said.get('typ') !== 'eat+jwt') {
    throw new MalformedToken('a header has alg, typ and kid and is of type eat+jwt', { path: 'token.header' });
  }
  const signed = utf8(`${parts[0]}.${parts[1]}`);
  const verify = trusted.algorithm === 'ES256' ? verifyRaw : verifyEd25519;
  const findings = [];
  if (said.get('alg') !== trusted.algorithm) {
    findings.push(finding('signature', 'attestation-results 3.1.3', "the token names another algorithm than the pinned key's"));
  }
  if (!(await verify(trusted.public, signed, signature))) {
    findings.push(finding('signature', 'attestation-results 3.1.4', 'the token is not signed by the pinned key'));
  }
  if (findings.length > 0) throw new AppraisalRefused(findings); // what nobody signed is not read
  const result = claims(json(payload, 'token'));
  const now = at.getTime() / 1000;
  const holds = (/** @type {boolean} */ good, /** @type {string} */ check, /** @type {string} */ step, /** @type {string} */ message) => {
    if (!good) findings.push(finding(check, `attestation-results ${step}`, message));
  };
  holds(result.issuedAt <= now + clockSkewSeconds, 'expiry', '3.3.1', 'the token is issued in the future');
  holds(result.expiresAt > now - clockSkewSeconds, 'expiry', '3.3.2', 'the token has expired');
  holds(now - result.issuedAt <= maximumAgeSeconds + clockSkewSeconds, 'freshness', '3.3.3', 'the token is older than accepted');
  holds(result.nonce !== undefined && hex(result.nonce) === hex(nonce), 'freshness', '3.3.4', 'the token does not carry the nonce that was asked for');
  if (findings.length > 0) throw new AppraisalRefused(findings);
  return result;
}

/** @param {any} token */
function claims(token) {
  const fail = (/** @type {string} */ rule) => new MalformedToken(rule, { path: 'token' });
  if (!(token instanceof Map) || token.get('eat_profile') !== PROFILE) throw fail('not a result of this profile');
  const [issuedAt, expiresAt] = ['iat', 'exp'].map((name) => token.get(name));
  if (![issuedAt, expiresAt].every((value) => Number.isSafeInteger(value) && value >= 0)) throw fail('iat and exp are seconds');
  const submods = token.get('submods');
  if (!(submods instanceof Map) || submods.size !== 1) throw fail('not one submodule');
  const [[kind, appraisal]] = submods;
  const details = appraisal instanceof Map ? appraisal.get('strongroom_result') : undefined;
  const policies = appraisal instanceof Map ? appraisal.get('ear_appraisal_policy_ids') : undefined;
  if (!(details instanceof Map) || !TIERS.has(appraisal.get('ear_status'))) throw fail('no status, or no details');
  if (!Array.isArray(policies) || policies.length !== 1 || !/^strongroom-policy:sha-256:[0-9a-f]{64}$/.test(policies[0])) {
    throw fail('not one policy by its digest');
  }
  const verdict = details.get('verdict');
  if (verdict !== 'accepted' && verdict !== 'refused') throw fail('neither accepted nor refused');
  return Object.freeze({
    accepted: verdict === 'accepted',
    status: /** @type {string} */ (appraisal.get('ear_status')),
    kind: /** @type {string} */ (kind),
    policyDigest: policies[0].slice(-64),
    evidenceDigest: /** @type {string | undefined} */ (details.get('evidence_sha256')),
    collateralDigest: /** @type {string | undefined} */ (details.get('collateral_sha256')),
    issuedAt: /** @type {number} */ (issuedAt),
    expiresAt: /** @type {number} */ (expiresAt),
    nonce: token.has('eat_nonce') ? octets(token.get('eat_nonce')) : undefined,
    details,
  });
}

/** @param {string} text */
function octets(text) {
  const plain = typeof text === 'string' && /^[A-Za-z0-9_-]*$/.test(text) ? text.replace(/-/g, '+').replace(/_/g, '/') : '=';
  const data = fromBase64(plain.padEnd(4 * Math.ceil(plain.length / 4), '='));
  if (data === undefined) throw new MalformedToken('not base64url in its one form', { path: 'token' });
  return data;
}

/** @param {Uint8Array} data @param {string} path */
function json(data, path) {
  try {
    return parse(data, { path, maxBytes: MAX_TOKEN_BYTES });
  } catch (error) {
    if (error instanceof MalformedCollateral) throw new MalformedToken(error.message, { path });
    throw error;
  }
}
