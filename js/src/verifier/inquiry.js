/**
 * One appraisal under way: the instant it is for, what is accepted as a root, and every objection so far. Steps report
 * to it and go on; nothing ends early, so that a refusal lists everything that is wrong.
 */
import { key } from '../base/bytes.js';
import { finding } from '../base/errors.js';
import { verifyDer, verifyRaw } from '../base/signatures.js';

/** @typedef {import('../formats/x509.js').Certificate} Certificate */
/** @typedef {import('../formats/x509.js').RevocationList} RevocationList */
/** @typedef {import('./policy.js').Anchor} Anchor */

export class Inquiry {
  /** @type {import('../base/errors.js').Finding[]} */
  findings = [];
  /** @type {string[]} Every leniency that was needed. */
  confessions = [];
  /** @type {number[]} The ends of everything that was used. */
  ends = [];
  #seen = new Set();

  /** @param {{anchors: readonly Anchor[], memo: import('./memo.js').Memo, at: number, graceMs: number}} options Certificates get no grace. */
  constructor({ anchors, memo, at, graceMs }) {
    if (!Number.isFinite(at)) throw new TypeError('an instant is a number of Unix milliseconds');
    this.anchors = anchors;
    this.memo = memo;
    this.at = at;
    this.graceMs = graceMs;
  }

  /** Object unless a condition holds; give the condition back. @param {boolean} holds @param {string} check @param {string} section @param {string} message @param {{expected?: string, actual?: string}} [texts] */
  require(holds, check, section, message, texts) {
    if (!holds) {
      const objection = finding(check, `appraisal ${section}`, message, texts);
      // the same root in three chains is one objection
      if (!this.findings.some((other) => JSON.stringify(other) === JSON.stringify(objection))) this.findings.push(objection);
    }
    return holds;
  }

  /** Tell whether this certificate under this issuer is seen for the first time, so that it is judged once. @param {Certificate} certificate @param {Certificate} issuer */
  firstSight(certificate, issuer) {
    const pair = `${certificate.der.length} ${key(certificate.der)}${key(issuer.der)}`;
    if (this.#seen.has(pair)) return false;
    this.#seen.add(pair);
    return true;
  }

  /** Object when the instant lies outside [begin, end]; graced things may be late by the grace period. @param {string} section @param {string} what @param {number} begin @param {number} end @param {{graced: boolean}} options */
  inTime(section, what, begin, end, { graced }) {
    const limit = end + (graced ? this.graceMs : 0);
    this.ends.push(limit);
    const actual = iso(this.at);
    if (this.at < begin) this.require(false, 'expiry', section, `${what} is not valid yet`, { expected: `from ${iso(begin)}`, actual });
    if (this.at > limit) this.require(false, 'expiry', section, `${what} has expired`, { expected: `until ${iso(limit)}`, actual });
    else if (this.at > end) this.confessions.push(`${what} expired ${duration(this.at - end)} ago and is taken by the policy's grace period`);
  }

  /** Tell whether the issuer's key made the subject's signature, by ECDSA P-256 with SHA-256 only. @param {Certificate} issuer @param {Certificate | RevocationList} subject */
  async signedBy(issuer, subject) {
    return issuer.ecdsa && issuer.point !== undefined && subject.ecdsa && this.memo.holds(verifyDer, issuer.point, subject.tbs, subject.signature);
  }

  /** Tell whether a signature in raw form is that of a certificate's key. @param {Certificate} signer @param {Uint8Array} message @param {Uint8Array} signature */
  async rawSignature(signer, message, signature) {
    return signer.ecdsa && signer.point !== undefined && this.memo.holds(verifyRaw, signer.point, message, signature);
  }
}

/** Name a certificate in a message; its name is foreign text. */
export const label = (/** @type {Certificate} */ certificate) => quoted(certificate.commonName).slice(0, 80);

/** Foreign text in quotes, everything but printable ASCII escaped. @param {string} text */
export const quoted = (text) =>
  `'${text.replace(/[^ -&(-[\]-~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}'`;

/** An instant in Unix milliseconds as people read it. @param {number} at */
export function iso(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? `${at} ms` : date.toISOString().replace('.000Z', 'Z');
}

/** A length of time in days and seconds. @param {number} ms */
export function duration(ms) {
  const days = Math.floor(ms / 86_400_000);
  const seconds = Math.floor((ms % 86_400_000) / 1000);
  return days ? `${days} days and ${seconds} s` : `${seconds} s`;
}
