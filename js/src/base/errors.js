/**
 * The error families, the same as the Python client's. Each says who has to act. A message is one sentence of fact and
 * holds no secret; what to do about it is in `hint`.
 */

/** Whatever this library raises on purpose. */
export class StrongroomError extends Error {
  /** @param {string} message @param {{hint?: string, cause?: unknown}} [options] */
  constructor(message, { hint = '', cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.hint = hint;
    /** A short name for programs. */
    this.code = new.target.code;
  }

  static code = 'error';
}

/** Our own settings are wrong. */
export class Misconfigured extends StrongroomError {
  static code = 'misconfigured';

  /** @param {string} message @param {{setting?: string, hint?: string}} [options] */
  constructor(message, { setting = '', hint = '' } = {}) {
    super(message, { hint });
    this.setting = setting;
  }
}

/** Bytes that are not the thing they should be. Trying again with the same bytes cannot help. */
export class Malformed extends StrongroomError {
  static code = 'malformed';

  /** @param {string} message @param {{path?: string, offset?: number, hint?: string}} [options] */
  constructor(message, { path = '', offset, hint = '' } = {}) {
    super(`${path ? `${path}: ` : ''}${message}${offset === undefined ? '' : ` (at byte ${offset})`}`, { hint });
    this.path = path;
    this.offset = offset;
  }
}

/** Not a quote of a kind that is read. */
export class MalformedQuote extends Malformed {
  static code = 'malformed-quote';
}

/** Not a certificate, CRL, TCB info, QE identity or collateral set. */
export class MalformedCollateral extends Malformed {
  static code = 'malformed-collateral';
}

/** Not a message of the attested channel. */
export class MalformedMessage extends Malformed {
  static code = 'malformed-message';
}

/**
 * One objection. `section` cites the numbered step of docs/spec; `expected` and `actual` are short texts for people.
 * @typedef {object} Finding
 * @property {string} check The check's name: `signature`, `chain`, `measurement`, …
 * @property {string} section For instance `appraisal 4.2`.
 * @property {string} message
 * @property {string} expected
 * @property {string} actual
 */

/** @param {string} check @param {string} section @param {string} message @param {{expected?: string, actual?: string}} [texts] @returns {Finding} */
export function finding(check, section, message, { expected = '', actual = '' } = {}) {
  return Object.freeze({ check, section, message, expected, actual });
}

/** Well-formed evidence that the policy does not accept. `findings` has every objection, never only the first. */
export class AppraisalRefused extends StrongroomError {
  static code = 'appraisal-refused';

  /** @param {readonly Finding[]} findings */
  constructor(findings) {
    if (findings.length === 0) throw new RangeError('a refusal without a finding explains nothing');
    super(`refused: ${findings.map((item) => `${item.check}: ${item.message}`).join('; ')}`);
    /** @type {readonly Finding[]} */
    this.findings = Object.freeze([...findings]);
  }
}

/** The service could not be reached, or did not answer as one. Never treated as accepted. */
export class StoreUnreachable extends StrongroomError {
  static code = 'store-unreachable';

  /** @param {string} message @param {{retryAfterSeconds?: number, cause?: unknown}} [options] */
  constructor(message, { retryAfterSeconds, cause } = {}) {
    super(message, { cause });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The service does not know this channel any more; a new exchange is needed. */
export class ChannelRefused extends StrongroomError {
  static code = 'channel-unknown';
}
