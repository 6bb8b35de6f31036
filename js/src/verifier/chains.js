/** Step 2: certificate chains, from a leaf to a root whose key is an anchor (docs/spec/appraisal.md section 2). */
import { equal, hex } from '../base/bytes.js';
import { label } from './inquiry.js';

/** @typedef {import('./inquiry.js').Inquiry} Inquiry */
/** @typedef {import('./policy.js').Anchor} Anchor */
/** @typedef {import('../formats/x509.js').Certificate} Certificate */

/** In order, leaf first. `anchor` is undefined when the root is no anchor; the finding was made. @typedef {{certificates: Certificate[], anchor: Anchor | undefined, leaf: Certificate, issuer: Certificate, root: Certificate}} Chain */
/** What to call a chain, how many certificates it has, what its end is called below the vendor. @typedef {{title: string, length: number, names: string[], ca: boolean}} Kind */

const UNDERSTOOD = ['2.5.29.19', '2.5.29.15']; // basicConstraints, keyUsage
const ROOT_SUFFIX = ' SGX Root CA';
const INTERMEDIATES = ['SGX PCK Processor CA', 'SGX PCK Platform CA'];
export const SIMULATED_VENDOR = 'Strongroom Simulated';

export const PCK = { title: 'the PCK certificate chain', length: 3, names: ['SGX PCK Certificate'], ca: false };
export const TCB_INFO = { title: 'the TCB info issuer chain', length: 2, names: ['SGX TCB Signing'], ca: false };
export const QE_IDENTITY = { title: 'the QE identity issuer chain', length: 2, names: ['SGX TCB Signing'], ca: false };
export const PCK_CRL = { title: 'the PCK CRL issuer chain', length: 2, names: INTERMEDIATES, ca: true };

/** Judge one chain, given in any order; `undefined` when it has another number of certificates. @param {Inquiry} inquiry @param {Certificate[]} certificates @param {Kind} kind @returns {Promise<Chain | undefined>} */
export async function judgeChain(inquiry, certificates, kind) {
  const rightLength = inquiry.require(
    certificates.length === kind.length,
    'chain',
    '2.1',
    `${kind.title} has ${certificates.length} certificates`,
    { expected: String(kind.length), actual: String(certificates.length) },
  );
  if (!rightLength) return undefined;
  const ordered = arrange(certificates);
  inquiry.require(ordered !== undefined, 'chain', '2.1', `the names in ${kind.title} do not form a chain from a root to a leaf`);
  const chain = ordered ?? certificates;
  const root = chain[chain.length - 1];
  const anchor = findAnchor(inquiry, root);
  const vendor = anchor ? anchor.vendor : withoutSuffix(root.commonName, ROOT_SUFFIX);
  for (const [position, certificate] of chain.entries()) {
    const issuer = chain[Math.min(position + 1, chain.length - 1)];
    if (inquiry.firstSight(certificate, issuer)) await judgeCertificate(inquiry, certificate, issuer);
    const fits = may(certificate, caCertificatesBelow(position, kind));
    inquiry.require(fits, 'chain', '2.5', `certificate ${label(certificate)} may not be used in its place`);
  }
  judgeNames(inquiry, chain, kind, vendor);
  return { certificates: chain, anchor, leaf: chain[0], issuer: chain[1], root };
}

/** Step 2.9: all chains end in one root, so that no anchor vouches for another anchor's platforms. @param {Inquiry} inquiry @param {(Chain | undefined)[]} chains */
export function judgeOneRoot(inquiry, chains) {
  const roots = new Set(chains.flatMap((chain) => (chain ? [`${hex(chain.root.subject)} ${hex(chain.root.spki)}`] : [])));
  inquiry.require(roots.size <= 1, 'chain', '2.9', 'the chains end in different roots');
}

function withoutSuffix(/** @type {string} */ name, /** @type {string} */ suffix) {
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

function arrange(/** @type {Certificate[]} */ certificates) {
  const roots = certificates.filter((item) => equal(item.subject, item.issuer));
  if (roots.length !== 1) return undefined;
  const chain = [roots[0]];
  const rest = certificates.filter((item) => item !== roots[0]);
  while (rest.length) {
    const below = rest.filter((item) => equal(item.issuer, chain[0].subject));
    if (below.length !== 1) return undefined;
    chain.unshift(below[0]);
    rest.splice(rest.indexOf(below[0]), 1);
  }
  return chain;
}

/** Step 2.2. The key decides, not the certificate's bytes: three issues of Intel's root circulate. @param {Inquiry} inquiry @param {Certificate} root */
function findAnchor(inquiry, root) {
  const anchor = inquiry.anchors.find((item) => equal(item.publicKey, root.spki) && item.name === root.commonName);
  if (anchor) return anchor;
  inquiry.require(false, 'chain', '2.2', `the root ${label(root)} is not an accepted anchor`, {
    expected: inquiry.anchors.map((item) => item.name).join(', ') || 'no anchor is accepted',
    actual: label(root),
  });
  inquiry.require(
    inquiry.anchors.some((item) => item.simulated) || !root.commonName.startsWith(SIMULATED_VENDOR),
    'simulated',
    '2.2',
    'the evidence comes from a simulated platform, which proves no hardware',
  );
  return undefined;
}

/** How many CA certificates may stand between this one and the end; `undefined` for an end that is no CA. @param {number} position @param {Kind} kind */
function caCertificatesBelow(position, kind) {
  if (position === 0) return kind.ca ? 0 : undefined;
  return position - 1 + (kind.ca ? 1 : 0);
}

async function judgeCertificate(/** @type {Inquiry} */ inquiry, /** @type {Certificate} */ certificate, /** @type {Certificate} */ issuer) {
  const name = label(certificate);
  inquiry.require(certificate.ecdsa, 'chain', '2.6', `certificate ${name} is not of a P-256 key signed by ECDSA with SHA-256`);
  inquiry.require(equal(certificate.issuer, issuer.subject), 'chain', '2.3', `certificate ${name} names another issuer`);
  const signed = await inquiry.signedBy(issuer, certificate);
  inquiry.require(signed, 'signature', '2.3', `certificate ${name} is not signed by the key of ${label(issuer)}`);
  inquiry.inTime('2.4', `certificate ${name}`, certificate.notBefore, certificate.notAfter, { graced: false });
  const surplus = [...certificate.critical].filter((oid) => !UNDERSTOOD.includes(oid)).sort();
  inquiry.require(surplus.length === 0, 'chain', '2.8', `certificate ${name} has a critical extension that is not understood`, {
    actual: surplus.join(', '),
  });
}

/** Step 2.5: version 3, basicConstraints and keyUsage as RFC 5280 section 4.2.1 wants them in this place. @param {Certificate} certificate @param {number | undefined} caBelow */
function may(certificate, caBelow) {
  const { version, keyUsages, ca, pathLength } = certificate;
  if (version !== 3 || keyUsages === undefined || ca === undefined) return false;
  if (caBelow === undefined) return !ca && keyUsages.has('digitalSignature') && !keyUsages.has('keyCertSign');
  return ca && keyUsages.has('keyCertSign') && keyUsages.has('cRLSign') && (pathLength === undefined || pathLength >= caBelow);
}

/** Step 2.7: each certificate has the name of its office, so that a PCK leaf cannot sign TCB info. @param {Inquiry} inquiry @param {Certificate[]} chain @param {Kind} kind @param {string} vendor */
function judgeNames(inquiry, chain, kind, vendor) {
  const of = (/** @type {string[]} */ names) => names.map((name) => `${vendor} ${name}`);
  const wanted = [of(kind.names), ...(kind === PCK ? [of(INTERMEDIATES)] : []), [`${vendor}${ROOT_SUFFIX}`]];
  for (const [position, certificate] of chain.entries()) {
    inquiry.require(
      wanted[position].includes(certificate.commonName),
      'chain',
      '2.7',
      `a certificate of ${kind.title} has the name of another office`,
      { expected: wanted[position].join(' or '), actual: label(certificate) },
    );
  }
}
