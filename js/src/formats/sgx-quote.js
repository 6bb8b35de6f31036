/**
 * The SGX quote, version 3: a report body and the signatures that tie it to a PCK certificate (Intel SGX ECDSA Quote
 * Library API, appendix A.4). Numbers are little-endian; signatures are r and s, keys x and y. It judges nothing.
 */
import { ByteCursor } from '../base/cursor.js';
import { MalformedQuote } from '../base/errors.js';

export const MAX_QUOTE_BYTES = 256 * 1024;
export const PCK_CERTIFICATE_CHAIN = 5;
const REPORT_BYTES = 384;
const SIGNED_BYTES = 48 + REPORT_BYTES;
const ECDSA_P256 = 2;
const FLAG_DEBUG = 2n;

/**
 * A report body. `attributes` are its 16 bytes; `bytes` is the whole.
 * @typedef {{bytes: Uint8Array, cpuSvn: Uint8Array, miscSelect: number, isvExtProdId: Uint8Array, attributes: Uint8Array,
 *   attributesFlags: bigint, attributesXfrm: bigint, debug: boolean, mrEnclave: Uint8Array, mrSigner: Uint8Array,
 *   configId: Uint8Array, isvProdId: number, isvSvn: number, configSvn: number, isvFamilyId: Uint8Array,
 *   reportData: Uint8Array}} SgxReport
 */

/**
 * @typedef {{qeVendorId: Uint8Array, report: SgxReport, signedBytes: Uint8Array, signature: Uint8Array,
 *   attestationKey: Uint8Array, qeReport: SgxReport, qeReportSignature: Uint8Array, qeAuthData: Uint8Array,
 *   certificationDataType: number, certificationData: Uint8Array, padding: number}} SgxQuote
 */

/** Read one quote; bytes after the signature section must be zero. @param {Uint8Array} data @returns {SgxQuote} */
export function readQuote(data) {
  if (data.length > MAX_QUOTE_BYTES) throw new MalformedQuote(`${data.length} bytes, at most ${MAX_QUOTE_BYTES} are read`, { path: 'quote' });
  const [first, second] = data;
  if ((first === 0xd8 && second === 0x3d) || first === 0xd2 || (first === 0x84 && second >> 5 === 2)) {
    throw new MalformedQuote('a quote in the form of a CBOR Web Token is not read', { path: 'quote', offset: 0 });
  }
  const cursor = new ByteCursor(data, { path: 'quote', error: MalformedQuote });
  const qeVendorId = readHeader(cursor);
  const report = readReport(cursor.take(REPORT_BYTES, 'report body'), 'quote.report');
  const section = part(cursor, cursor.u32("signature section's size"), 'signature section', 'quote.signature');
  const tail = cursor.rest();
  if (tail.some((byte) => byte !== 0)) throw cursor.fail(`${tail.length} bytes after the signature section are not all zero`);
  const quote = {
    qeVendorId,
    report,
    signedBytes: data.slice(0, SIGNED_BYTES),
    signature: section.take(64, 'quote signature'),
    attestationKey: section.take(64, 'attestation key'),
    qeReport: readReport(section.take(REPORT_BYTES, 'QE report'), 'quote.qe_report'),
    qeReportSignature: section.take(64, 'QE report signature'),
    qeAuthData: section.take(section.u16("QE authentication data's size"), 'QE authentication data'),
    certificationDataType: section.u16('certification data type'),
    certificationData: section.take(section.u32("certification data's size"), 'certification data'),
    padding: tail.length,
  };
  if (quote.certificationDataType < 1 || quote.certificationDataType > 7) {
    throw section.fail(`certification data type ${quote.certificationDataType} is unknown`);
  }
  section.expectEnd();
  return Object.freeze(quote);
}

/** The header, 48 bytes; gives the QE vendor's id. */
function readHeader(/** @type {ByteCursor} */ cursor) {
  const version = cursor.u16('version');
  if (version !== 3) throw cursor.fail(`a quote of version ${version} where one of version 3 is expected`);
  const keyType = cursor.u16('attestation key type');
  if (keyType !== ECDSA_P256) throw cursor.fail(`attestation key type ${keyType} is not 2 (ECDSA over P-256)`);
  const tee = cursor.u32('TEE type');
  if (tee !== 0) throw cursor.fail(`TEE type ${tee} in a quote of version 3, which is of SGX only`);
  cursor.u16('QE SVN');
  cursor.u16('PCE SVN');
  const qeVendorId = cursor.take(16, 'QE vendor id');
  cursor.take(20, 'user data');
  return qeVendorId;
}

/** Exactly 384 bytes (Intel SDM volume 3D, "REPORT"). @param {Uint8Array} bytes @param {string} path @returns {SgxReport} */
function readReport(bytes, path) {
  const cursor = new ByteCursor(bytes, { path, error: MalformedQuote });
  const cpuSvn = cursor.take(16, 'CPUSVN');
  const miscSelect = cursor.u32('MISCSELECT');
  cursor.take(12, 'reserved');
  const isvExtProdId = cursor.take(16, 'ISVEXTPRODID');
  const attributes = cursor.take(16, 'ATTRIBUTES');
  const mrEnclave = cursor.take(32, 'MRENCLAVE');
  cursor.take(32, 'reserved');
  const mrSigner = cursor.take(32, 'MRSIGNER');
  cursor.take(32, 'reserved');
  const configId = cursor.take(64, 'CONFIGID');
  const isvProdId = cursor.u16('ISVPRODID');
  const isvSvn = cursor.u16('ISVSVN');
  const configSvn = cursor.u16('CONFIGSVN');
  cursor.take(42, 'reserved');
  const isvFamilyId = cursor.take(16, 'ISVFAMILYID');
  const reportData = cursor.take(64, 'REPORTDATA');
  cursor.expectEnd();
  const words = new DataView(attributes.buffer);
  const attributesFlags = words.getBigUint64(0, true);
  return Object.freeze({
    bytes,
    cpuSvn,
    miscSelect,
    isvExtProdId,
    attributes,
    attributesFlags,
    attributesXfrm: words.getBigUint64(8, true),
    debug: (attributesFlags & FLAG_DEBUG) !== 0n,
    mrEnclave,
    mrSigner,
    configId,
    isvProdId,
    isvSvn,
    configSvn,
    isvFamilyId,
    reportData,
  });
}

function part(/** @type {ByteCursor} */ cursor, /** @type {number} */ size, /** @type {string} */ field, /** @type {string} */ path) {
  return new ByteCursor(cursor.take(size, field), { path, error: MalformedQuote });
}
