/** Step 3: the root's and the PCK issuer's CRLs, and every certificate they cover (docs/spec/appraisal.md section 3). */
import { equal, key } from '../base/bytes.js';
import { label, quoted } from './inquiry.js';

/** @typedef {import('./chains.js').Chain} Chain */
/** @typedef {import('./inquiry.js').Inquiry} Inquiry */
/** @typedef {import('../formats/x509.js').Certificate} Certificate */
/** @typedef {import('../formats/x509.js').RevocationList} RevocationList */

/**
 * Judge both lists and look up every certificate of every chain in the list of its issuer. `pckCrlChain` is the list's
 * own issuer chain from the collateral: its CA must be the one that issued the PCK.
 * @param {Inquiry} inquiry
 * @param {{rootCrl: RevocationList, pckCrl: RevocationList, pck?: Chain, pckCrlChain?: Chain, others: (Chain | undefined)[]}} parts
 */
export async function judgeRevocation(inquiry, { rootCrl, pckCrl, pck, pckCrlChain, others }) {
  const chains = [pck, pckCrlChain, ...others].filter((chain) => chain !== undefined);
  if (chains.length) await judgeList(inquiry, 'the root CRL', rootCrl, chains[0].root);
  const issuer = pck?.issuer ?? pckCrlChain?.leaf;
  if (issuer) await judgeList(inquiry, 'the PCK CRL', pckCrl, issuer);
  if (pck && pckCrlChain) {
    const same = equal(pck.issuer.subject, pckCrlChain.leaf.subject) && equal(pck.issuer.spki, pckCrlChain.leaf.spki);
    inquiry.require(same, 'revocation', '3.1', 'the PCK CRL is of another CA than the one that issued the PCK certificate', {
      expected: label(pck.issuer),
      actual: label(pckCrlChain.leaf),
    });
  }
  const certificates = new Map(chains.flatMap((chain) => chain.certificates).map((certificate) => [key(certificate.der), certificate]));
  for (const certificate of certificates.values()) {
    for (const list of [rootCrl, pckCrl]) {
      const revoked = equal(certificate.issuer, list.issuer) && list.revoked.has(certificate.serial);
      inquiry.require(!revoked, 'revocation', '3.5', `certificate ${label(certificate)} is revoked`, { actual: `serial ${certificate.serial}` });
    }
  }
}

async function judgeList(/** @type {Inquiry} */ inquiry, /** @type {string} */ name, /** @type {RevocationList} */ list, /** @type {Certificate} */ issuer) {
  inquiry.require(equal(list.issuer, issuer.subject), 'revocation', '3.1', `${name} is of another issuer`, {
    expected: label(issuer),
    actual: quoted(list.issuerCommonName),
  });
  const signed = await inquiry.signedBy(issuer, list);
  inquiry.require(signed, 'signature', '3.2', `${name} is not signed by the key of ${label(issuer)}`);
  if (inquiry.require(list.nextUpdate !== undefined, 'expiry', '3.3', `${name} does not say until when it is valid`)) {
    inquiry.inTime('3.3', name, list.thisUpdate, /** @type {number} */ (list.nextUpdate), { graced: true });
  }
  const ofIssuer = list.authorityKeyId !== undefined && (issuer.keyId === undefined || equal(issuer.keyId, list.authorityKeyId));
  inquiry.require(
    list.number !== undefined && ofIssuer && list.critical.size === 0,
    'revocation',
    '3.4',
    `${name} lacks a number or its issuer's key identifier, or has a critical extension`,
  );
}
