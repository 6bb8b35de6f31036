/** Step 6: the quoting enclave and the signatures from the PCK to the report (docs/spec/appraisal.md section 6). */
import { concat, equal, hex, sha256 } from '../base/bytes.js';
import { verifyRaw } from '../base/signatures.js';
import { isvSvnLevel } from './tcb.js';

/** @typedef {import('./inquiry.js').Inquiry} Inquiry */
/** @typedef {import('../formats/sgx-quote.js').SgxQuote} SgxQuote */

const INTEL_QE_VENDOR_ID = '939a7233f79c4ca9940a0db3957f0607';

/** Steps 6.1, 6.2, 6.6, 6.7: PCK key over the QE's report, report over the attestation key, that key over all. @param {Inquiry} inquiry @param {SgxQuote} quote @param {import('./chains.js').Chain | undefined} pck */
export async function judgeQuote(inquiry, quote, pck) {
  if (pck) {
    const signed = await inquiry.rawSignature(pck.leaf, quote.qeReport.bytes, quote.qeReportSignature);
    inquiry.require(signed, 'signature', '6.1', "the QE report is not signed by the PCK certificate's key");
  }
  const bound = concat(await sha256(concat(quote.attestationKey, quote.qeAuthData)), new Uint8Array(32));
  inquiry.require(equal(bound, quote.qeReport.reportData), 'key-binding', '6.2', 'the QE report does not vouch for the attestation key', {
    expected: hex(bound),
    actual: hex(quote.qeReport.reportData),
  });
  const signed = await verifyRaw(quote.attestationKey, quote.signedBytes, quote.signature);
  inquiry.require(signed, 'signature', '6.6', 'the quote is not signed by its attestation key');
  const vendor = hex(quote.qeVendorId);
  inquiry.require(vendor === INTEL_QE_VENDOR_ID, 'qe-identity', '6.7', 'the quoting enclave is of another vendor', {
    expected: INTEL_QE_VENDOR_ID,
    actual: vendor,
  });
}

/** Steps 6.3 to 6.5: the QE's report shows the enclave of the QE identity; gives the level of its version. @param {Inquiry} inquiry @param {SgxQuote} quote @param {import('../formats/tcb-info.js').QeIdentity} identity */
export function judgeQuotingEnclave(inquiry, quote, identity) {
  const report = quote.qeReport;
  const masked = report.attributes.map((byte, at) => byte & identity.attributesMask[at]);
  const word = (/** @type {number} */ number) => (number >>> 0).toString(16).padStart(8, '0');
  const comparisons = [
    ['MISCSELECT', word(identity.miscSelect), word(report.miscSelect & identity.miscSelectMask)],
    ['attributes', hex(identity.attributes), hex(masked)],
    ['MRSIGNER', hex(identity.mrSigner), hex(report.mrSigner)],
    ['ISVPRODID', String(identity.isvProdId), String(report.isvProdId)],
  ];
  for (const [field, expected, actual] of comparisons) {
    const message = `the quoting enclave has another ${field} than the QE identity`;
    inquiry.require(expected === actual, 'qe-identity', '6.3', message, { expected, actual });
  }
  // whatever the identity's mask says: a debug QE hands its keys to the host
  inquiry.require(!report.debug, 'qe-identity', '6.4', 'the quoting enclave runs in debug mode');
  const level = isvSvnLevel(identity.levels, report.isvSvn);
  inquiry.require(level !== undefined, 'qe-identity', '6.5', 'the quoting enclave is older than every known version', {
    expected: `ISVSVN at least ${Math.min(...identity.levels.map((item) => item.isvSvn))}`,
    actual: String(report.isvSvn),
  });
  inquiry.require(level?.status !== 'Revoked', 'tcb-status', '6.5', 'this version of the quoting enclave is revoked', {
    actual: `ISVSVN ${report.isvSvn}`,
  });
  return level;
}
