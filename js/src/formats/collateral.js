/**
 * Collateral: everything signed by the manufacturer that is needed to judge a quote, as a JSON object of nine texts.
 * Whoever hands a set over cannot gain more by it than a refusal: each part is signed.
 */
import { fromHex, utf8 } from '../base/bytes.js';
import { MalformedCollateral } from '../base/errors.js';
import { MAX_BODY_BYTES, parse } from '../base/json.js';
import { crlDer, MAX_CHAIN_BYTES, MAX_CRL_BYTES } from './x509.js';

const MAX_COLLATERAL_BYTES = 16 * 1024 * 1024;
const IGNORED = 'pck_certificate_chain'; // the chain that is judged is the quote's own

/** Chains are PEM text, CRLs DER, the two bodies the bytes that are signed, signatures 64 bytes. */
const PARTS = /** @type {const} */ ({
  pck_crl_issuer_chain: { limit: MAX_CHAIN_BYTES, as: 'text' },
  root_ca_crl: { limit: MAX_CRL_BYTES, as: 'crl' },
  pck_crl: { limit: MAX_CRL_BYTES, as: 'crl' },
  tcb_info_issuer_chain: { limit: MAX_CHAIN_BYTES, as: 'text' },
  tcb_info: { limit: MAX_BODY_BYTES, as: 'text' },
  tcb_info_signature: { limit: 64, as: 'signature' },
  qe_identity_issuer_chain: { limit: MAX_CHAIN_BYTES, as: 'text' },
  qe_identity: { limit: MAX_BODY_BYTES, as: 'text' },
  qe_identity_signature: { limit: 64, as: 'signature' },
});

/** @typedef {Record<keyof typeof PARTS, Uint8Array>} Collateral */

/** Read a set: nine texts, no other key, no part too long. @param {Uint8Array} data @returns {Collateral} */
export function readCollateral(data) {
  const value = parse(data, { path: 'collateral', maxBytes: MAX_COLLATERAL_BYTES });
  if (!(value instanceof Map)) throw new MalformedCollateral('not an object', { path: 'collateral' });
  for (const [name, text] of value) {
    if (typeof text !== 'string') throw new MalformedCollateral('a value that is not a text', { path: 'collateral' });
    if (!Object.hasOwn(PARTS, name) && name !== IGNORED) throw new MalformedCollateral('an unknown key', { path: 'collateral' });
  }
  const parts = Object.entries(PARTS).map(([name, part]) => [name, readPart(value.get(name), `collateral.${name}`, part)]);
  return /** @type {Collateral} */ (Object.freeze(Object.fromEntries(parts)));
}

function readPart(/** @type {string | undefined} */ text, /** @type {string} */ path, /** @type {{limit: number, as: string}} */ { limit, as }) {
  if (text === undefined) throw new MalformedCollateral('missing', { path });
  if (/\p{Surrogate}/u.test(text)) throw new MalformedCollateral('not text', { path });
  if (as === 'signature') {
    const signature = fromHex(text);
    if (signature?.length !== 64) throw new MalformedCollateral('not 64 bytes in hexadecimal', { path });
    return signature;
  }
  const value = as === 'crl' ? crlDer(utf8(text), path) : utf8(text);
  if (value.length > limit) throw new MalformedCollateral(`${value.length} bytes, at most ${limit} are read`, { path });
  return value;
}
