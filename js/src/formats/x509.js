/**
 * X.509 certificates and CRLs (RFC 5280) of a small fixed PKI, read strictly: everything that a judgement needs, names as
 * the bytes that were signed. It decides nothing about trust.
 */
import { ascii, equal, fromBase64, fromHex, hex } from '../base/bytes.js';
import { BIT_STRING, DerReader, dotted, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, BOOLEAN } from '../base/der.js';
import { MalformedCollateral } from '../base/errors.js';
import { instant } from '../base/json.js';
import { pointOf } from '../base/signatures.js';

const MAX_CERTIFICATE_BYTES = 16 * 1024;
export const MAX_CHAIN_BYTES = 64 * 1024;
export const MAX_CRL_BYTES = 4 * 1024 * 1024;
const MAX_CHAIN_LENGTH = 8;
const MAX_REVOKED = 100_000;
const MAX_SERIAL_BYTES = 21; // 20 octets and a leading zero (RFC 5280 section 4.1.2.2)

const ECDSA_WITH_SHA256 = Uint8Array.from([0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
const COMMON_NAME = '2.5.4.3';
const TEXT_TAGS = [0x0c, 0x13, 0x16]; // UTF8String, PrintableString, IA5String: all of them UTF-8
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SUBJECT_KEY_ID = '2.5.29.14';
const KEY_USAGE = '2.5.29.15';
const BASIC_CONSTRAINTS = '2.5.29.19';
const CRL_NUMBER = '2.5.29.20';
const AUTHORITY_KEY_ID = '2.5.29.35';
const USAGES = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement', 'keyCertSign', 'cRLSign'];
const PEM = /-----BEGIN CERTIFICATE-----[ \t\n\r\f\v]([A-Za-z0-9+/= \t\n\r\f\v]+)-----END CERTIFICATE-----/g;
const PEM_CRL =
  /^[ \t\n\r\f\v]*-----BEGIN X509 CRL-----[ \t\n\r\f\v]([A-Za-z0-9+/= \t\n\r\f\v]+)-----END X509 CRL-----[ \t\n\r\f\v\0]*$/;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * One certificate. Names are DER; `ca` and `pathLength` are basicConstraints and undefined when the extension is absent,
 * as is `keyUsages`. `point` is the 64-byte public key, undefined unless it is on P-256. `ecdsa` tells whether both
 * algorithm fields name ECDSA with SHA-256 and the key is on P-256. `serial` is hexadecimal, in its shortest form.
 * Dates are Unix milliseconds.
 * @typedef {{der: Uint8Array, version: number, serial: string, subject: Uint8Array, issuer: Uint8Array, commonName: string,
 *   issuerCommonName: string, spki: Uint8Array, point: Uint8Array | undefined, notBefore: number, notAfter: number,
 *   ca: boolean | undefined, pathLength: number | undefined, keyUsages: Set<string> | undefined,
 *   extensions: Map<string, Uint8Array>, critical: Set<string>, keyId: Uint8Array | undefined, ecdsa: boolean,
 *   tbs: Uint8Array, signature: Uint8Array}} Certificate
 */

/**
 * One CRL. `revoked` holds serial numbers in hexadecimal, in their shortest form.
 * @typedef {{der: Uint8Array, issuer: Uint8Array, issuerCommonName: string, number: string | undefined,
 *   authorityKeyId: Uint8Array | undefined, thisUpdate: number, nextUpdate: number | undefined, revoked: Set<string>,
 *   critical: Set<string>, ecdsa: boolean, tbs: Uint8Array, signature: Uint8Array}} RevocationList
 */

/** The DER of the certificates of a PEM text, 1 to 8, with nothing but white space and NUL between and after. @param {Uint8Array} data @param {string} path */
export function splitPem(data, path) {
  if (data.length > MAX_CHAIN_BYTES) throw new MalformedCollateral(`${data.length} bytes, at most ${MAX_CHAIN_BYTES} are read`, { path });
  const text = ascii(data);
  const blocks = [...text.matchAll(PEM)];
  if (blocks.length < 1 || blocks.length > MAX_CHAIN_LENGTH) {
    throw new MalformedCollateral(`${blocks.length} PEM certificates, not 1 to ${MAX_CHAIN_LENGTH}`, { path });
  }
  if (!/^[ \t\r\n\0]*$/.test(text.replace(PEM, ''))) throw new MalformedCollateral('something else than PEM certificates', { path });
  return blocks.map((block) => base64(block[1], path));
}

/** The DER of one CRL given as DER, PEM or the hexadecimal text of DER. @param {Uint8Array} data @param {string} path */
export function crlDer(data, path) {
  if (data.length > 2 * MAX_CRL_BYTES) throw new MalformedCollateral(`${data.length} bytes, at most ${2 * MAX_CRL_BYTES} are read`, { path });
  const text = ascii(data);
  const block = PEM_CRL.exec(text);
  if (block) return base64(block[1], path);
  const digits = strip(text);
  const bytes = digits ? fromHex(digits) : undefined;
  if (bytes) return bytes;
  // the last byte of a CRL is its signature's and may itself be zero, so the length the list states decides
  const long = data[0] === 0x30 && data[1] === 0x82 && data.length === 5 + data[2] * 256 + data[3];
  return long && data[data.length - 1] === 0 ? data.slice(0, -1) : data;
}

/** @param {Uint8Array} data @param {string} [path] @returns {Certificate} */
export function readCertificate(data, path = 'certificate') {
  if (data.length > MAX_CERTIFICATE_BYTES) throw new MalformedCollateral(`${data.length} bytes, at most ${MAX_CERTIFICATE_BYTES} are read`, { path });
  const { tbs, algorithm, signature, fields } = readSigned(data, path);
  const version = fields.nextTag() === 0xa0 ? only(fields.enter(0xa0, 'version'), (reader) => reader.number('version', 2)) + 1 : 1;
  const serial = fields.integer('serial number');
  if (serial[0] & 0x80 || serial.length > MAX_SERIAL_BYTES || (serial.length === 1 && serial[0] === 0)) {
    throw fields.fail('serial number that is not positive or too long');
  }
  const inner = fields.takeWhole(SEQUENCE, 'signature algorithm');
  const issuer = fields.takeWhole(SEQUENCE, 'issuer');
  const [notBefore, notAfter] = only(fields.enter(SEQUENCE, 'validity'), (reader) => [time(reader, 'notBefore'), time(reader, 'notAfter')]);
  const subject = fields.takeWhole(SEQUENCE, 'subject');
  const spki = fields.takeWhole(SEQUENCE, 'SubjectPublicKeyInfo');
  for (const tag of [0x81, 0x82]) if (fields.nextTag() === tag) fields.take(tag, 'unique identifier');
  const { extensions, critical } = readExtensions(fields, 0xa3, path);
  fields.expectEnd();
  const point = pointOf(spki);
  const value = (/** @type {string} */ oid) => extensions.get(oid);
  const constraints = readOptional(value(BASIC_CONSTRAINTS), path, basicConstraints);
  return Object.freeze({
    der: data,
    version,
    serial: hex(serial),
    subject,
    issuer,
    commonName: commonName(subject),
    issuerCommonName: commonName(issuer),
    spki,
    point,
    notBefore,
    notAfter,
    ca: constraints?.ca,
    pathLength: constraints?.pathLength,
    keyUsages: readOptional(value(KEY_USAGE), path, keyUsage),
    extensions,
    critical,
    keyId: readOptional(value(SUBJECT_KEY_ID), path, (reader) => reader.take(OCTET_STRING, 'key identifier')),
    ecdsa: equal(inner, ECDSA_WITH_SHA256) && equal(algorithm, ECDSA_WITH_SHA256) && point !== undefined,
    tbs,
    signature,
  });
}

/** @param {Uint8Array} data @param {string} [path] @returns {RevocationList} */
export function readRevocationList(data, path = 'CRL') {
  if (data.length > MAX_CRL_BYTES) throw new MalformedCollateral(`${data.length} bytes, at most ${MAX_CRL_BYTES} are read`, { path });
  const { tbs, algorithm, signature, fields } = readSigned(data, path);
  if (fields.nextTag() === INTEGER) fields.number('version', 1);
  const inner = fields.takeWhole(SEQUENCE, 'signature algorithm');
  const issuer = fields.takeWhole(SEQUENCE, 'issuer');
  const thisUpdate = time(fields, 'thisUpdate');
  const nextUpdate = isTime(fields.nextTag()) ? time(fields, 'nextUpdate') : undefined;
  const revoked = fields.nextTag() === SEQUENCE ? readRevoked(fields.enter(SEQUENCE, 'revoked certificates')) : new Set();
  const { extensions, critical } = readExtensions(fields, 0xa0, path);
  fields.expectEnd();
  return Object.freeze({
    der: data,
    issuer,
    issuerCommonName: commonName(issuer),
    number: readOptional(extensions.get(CRL_NUMBER), path, crlNumber),
    authorityKeyId: readOptional(extensions.get(AUTHORITY_KEY_ID), path, authorityKeyId),
    thisUpdate,
    nextUpdate,
    revoked,
    critical,
    ecdsa: equal(inner, ECDSA_WITH_SHA256) && equal(algorithm, ECDSA_WITH_SHA256),
    tbs,
    signature,
  });
}

/** The outer SEQUENCE of a certificate or a CRL: what is signed, and how it says it was signed. */
function readSigned(/** @type {Uint8Array} */ data, /** @type {string} */ path) {
  const outer = new DerReader(data, { path, error: MalformedCollateral });
  const whole = outer.enter(SEQUENCE, 'signed structure');
  outer.expectEnd();
  const tbs = whole.takeWhole(SEQUENCE, 'signed part');
  const algorithm = whole.takeWhole(SEQUENCE, 'signature algorithm');
  const bits = whole.take(BIT_STRING, 'signature');
  whole.expectEnd();
  if (bits[0] !== 0) throw outer.fail('the signature is not whole bytes');
  const fields = new DerReader(tbs, { path, error: MalformedCollateral }).enter(SEQUENCE, 'signed part');
  return { tbs, algorithm, signature: bits.slice(1), fields };
}

function readRevoked(/** @type {DerReader} */ list) {
  const revoked = new Set();
  for (let count = 0; list.remaining; count += 1) {
    if (count === MAX_REVOKED) throw list.fail(`more than ${MAX_REVOKED} entries`);
    const entry = list.enter(SEQUENCE, 'entry');
    revoked.add(hex(entry.integer('serial number')));
    time(entry, 'revocation date');
    if (entry.remaining) entry.take(SEQUENCE, 'entry extensions');
    entry.expectEnd();
  }
  return revoked;
}

function readExtensions(/** @type {DerReader} */ fields, /** @type {number} */ tag, /** @type {string} */ path) {
  const extensions = new Map();
  const critical = new Set();
  if (fields.nextTag() === tag) {
    const list = only(fields.enter(tag, 'extensions'), (reader) => reader.enter(SEQUENCE, 'extensions'));
    while (list.remaining) {
      const extension = list.enter(SEQUENCE, 'extension');
      const oid = dotted(extension.take(OBJECT_IDENTIFIER, 'extension type'));
      if (oid === undefined || extensions.has(oid)) throw new MalformedCollateral('an extension twice, or of no type', { path });
      if (extension.nextTag() === BOOLEAN) {
        if (!extension.boolean('critical')) throw extension.fail('a default value that is written out');
        critical.add(oid);
      }
      extensions.set(oid, extension.take(OCTET_STRING, 'extension value'));
      extension.expectEnd();
    }
  }
  return { extensions, critical };
}

/** @template T @param {Uint8Array | undefined} value @param {string} path @param {(reader: DerReader) => T} read */
function readOptional(value, path, read) {
  return value === undefined ? undefined : only(new DerReader(value, { path, error: MalformedCollateral }), read);
}

/** Read something that has to be all there is. @template T @param {DerReader} reader @param {(reader: DerReader) => T} read */
function only(reader, read) {
  const value = read(reader);
  reader.expectEnd();
  return value;
}

function basicConstraints(/** @type {DerReader} */ reader) {
  return only(reader.enter(SEQUENCE, 'basicConstraints'), (fields) => {
    const ca = fields.nextTag() === BOOLEAN && fields.boolean('cA');
    return { ca, pathLength: fields.remaining ? fields.number('pathLenConstraint', 255) : undefined };
  });
}

function keyUsage(/** @type {DerReader} */ reader) {
  const bits = reader.take(BIT_STRING, 'keyUsage');
  if (bits.length < 1 || bits.length > 3 || bits[0] > 7) throw reader.fail('keyUsage is not a short bit string');
  return new Set(USAGES.filter((_, bit) => (bits[1] ?? 0) & (0x80 >> bit)));
}

function crlNumber(/** @type {DerReader} */ reader) {
  const number = reader.integer('CRL number');
  if (number[0] & 0x80 || number.length > MAX_SERIAL_BYTES) throw reader.fail('CRL number that is negative or too long');
  return BigInt(`0x${hex(number)}`).toString();
}

function authorityKeyId(/** @type {DerReader} */ reader) {
  const fields = reader.enter(SEQUENCE, 'authorityKeyIdentifier');
  return fields.nextTag() === 0x80 ? fields.take(0x80, 'key identifier') : undefined;
}

const isTime = (/** @type {number | undefined} */ tag) => tag === UTC_TIME || tag === GENERALIZED_TIME;

/** UTCTime or GeneralizedTime in the one form of RFC 5280 section 4.1.2.5, in Unix milliseconds. @param {DerReader} reader @param {string} field */
function time(reader, field) {
  const tag = reader.nextTag() === GENERALIZED_TIME ? GENERALIZED_TIME : UTC_TIME;
  const text = ascii(reader.take(tag, field));
  const found = (tag === UTC_TIME ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  const parts = found ? found.slice(1).map(Number) : [];
  if (tag === UTC_TIME && found) parts[0] += parts[0] < 50 ? 2000 : 1900;
  const at = found ? instant(parts) : null;
  if (at === null) throw reader.fail(`${field} is not an instant in UTC`);
  return at;
}

/** The one common name of a name, or an empty text when there is none or more than one. @param {Uint8Array} name */
function commonName(name) {
  const found = /** @type {string[]} */ ([]);
  const attributes = new DerReader(name, { path: 'name', error: MalformedCollateral }).enter(SEQUENCE, 'name');
  while (attributes.remaining) {
    const relative = attributes.enter(SET, 'attributes');
    while (relative.remaining) {
      const attribute = relative.enter(SEQUENCE, 'attribute');
      const type = dotted(attribute.take(OBJECT_IDENTIFIER, 'attribute type'));
      const tag = attribute.nextTag();
      if (tag === undefined) throw attribute.fail('an attribute without a value');
      const value = attribute.take(tag, 'attribute value');
      attribute.expectEnd();
      if (type === COMMON_NAME) found.push(TEXT_TAGS.includes(tag) ? text(value, attribute) : '');
    }
  }
  return found.length === 1 ? found[0] : '';
}

function text(/** @type {Uint8Array} */ value, /** @type {DerReader} */ reader) {
  try {
    return decoder.decode(value);
  } catch {
    throw reader.fail('a name that is not UTF-8');
  }
}

/** Drop white space and NUL at both ends; by hand, because a pattern for the end would try again at every one. */
function strip(/** @type {string} */ text) {
  let [begin, end] = [0, text.length];
  while (begin < end && ' \t\r\n\0'.includes(text[begin])) begin += 1;
  while (end > begin && ' \t\r\n\0'.includes(text[end - 1])) end -= 1;
  return text.slice(begin, end);
}

function base64(/** @type {string} */ text, /** @type {string} */ path) {
  const data = fromBase64(text.replace(/[ \t\n\r\f\v]+/g, ''));
  if (data === undefined) throw new MalformedCollateral('not base64 in its one form', { path });
  return data;
}

