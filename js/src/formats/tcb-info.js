/**
 * TCB info and QE identity: which versions of a kind of platform, and of the quoting enclave, have which status.
 * Source: Intel PCS API, "Get TCB Info" and "Get Quoting Enclave Identity". They compare nothing.
 */
import { parseObject } from '../base/json.js';
import { COMPONENTS } from './pck-extension.js';

/** @typedef {import('../base/json.js').JsonFields} JsonFields */

export const TCB_STATUSES = Object.freeze([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
]);
const MAX_LEVELS = 256;
const MAX_ADVISORIES = 512;
const MAX_MODULES = 64;
const MAX_EVALUATION_NUMBER = 0xffffffff;

/** @typedef {{components: {svn: number, kind: string | undefined}[], pceSvn: number, tcbDate: number, status: string, advisoryIds: string[]}} TcbLevel */
/** @typedef {{isvSvn: number, tcbDate: number, status: string, advisoryIds: string[]}} IsvSvnLevel */
/**
 * @typedef {{id: string, issueDate: number, nextUpdate: number, fmspc: Uint8Array, pceId: Uint8Array,
 *   tcbEvaluationDataNumber: number, levels: TcbLevel[]}} TcbInfo
 */
/**
 * @typedef {{id: string, issueDate: number, nextUpdate: number, tcbEvaluationDataNumber: number, miscSelect: number,
 *   miscSelectMask: number, attributes: Uint8Array, attributesMask: Uint8Array, mrSigner: Uint8Array, isvProdId: number,
 *   levels: IsvSvnLevel[]}} QeIdentity
 */

/** Read the value that is signed, the inner object without its signature. @param {Uint8Array} body @returns {TcbInfo} */
export function readTcbInfo(body) {
  const fields = parseObject(body, 'TCB info');
  const version = fields.number('version', 0xffff);
  if (version !== 2 && version !== 3) throw fields.fail(`version ${version} is not read (2 and 3 are)`);
  const id = version === 2 ? 'SGX' : fields.text('id');
  if (id !== 'SGX' && id !== 'TDX') throw fields.fail('id is neither SGX nor TDX');
  fields.number('tcbType', 0); // the one composition of CPUSVN that is defined
  const tdx = id === 'TDX';
  if (!tdx && (fields.has('tdxModule') || fields.has('tdxModuleIdentities'))) throw fields.fail('a TCB info of SGX carries a TDX module');
  const levels = fields.objects('tcbLevels', MAX_LEVELS).map((level) => readLevel(level, version, tdx));
  if (levels.length === 0) throw fields.fail('no TCB level');
  if (new Set(levels.map((level) => level.order)).size !== levels.length) throw fields.fail('a TCB level occurs twice');
  if (tdx) readTdxModules(fields);
  return Object.freeze({
    id,
    issueDate: fields.date('issueDate'),
    nextUpdate: fields.date('nextUpdate'),
    fmspc: fields.hexadecimal('fmspc', 6),
    pceId: fields.hexadecimal('pceId', 2),
    tcbEvaluationDataNumber: fields.number('tcbEvaluationDataNumber', MAX_EVALUATION_NUMBER),
    levels,
  });
}

/** Read the value that is signed. @param {Uint8Array} body @returns {QeIdentity} */
export function readQeIdentity(body) {
  const fields = parseObject(body, 'QE identity');
  const version = fields.number('version', 0xffff);
  if (version !== 2) throw fields.fail(`version ${version} is not read (2 is)`);
  const levels = fields.objects('tcbLevels', MAX_LEVELS).map(readIsvSvnLevel);
  if (levels.length === 0) throw fields.fail('no TCB level');
  if (new Set(levels.map((level) => level.isvSvn)).size !== levels.length) throw fields.fail('a TCB level occurs twice');
  return Object.freeze({
    id: fields.text('id'),
    issueDate: fields.date('issueDate'),
    nextUpdate: fields.date('nextUpdate'),
    tcbEvaluationDataNumber: fields.number('tcbEvaluationDataNumber', MAX_EVALUATION_NUMBER),
    // Intel writes the four bytes as they stand in the report, least significant first
    miscSelect: littleEndian(fields.hexadecimal('miscselect', 4)),
    miscSelectMask: littleEndian(fields.hexadecimal('miscselectMask', 4)),
    attributes: fields.hexadecimal('attributes', 16),
    attributesMask: fields.hexadecimal('attributesMask', 16),
    mrSigner: fields.hexadecimal('mrsigner', 32),
    isvProdId: fields.number('isvprodid', 0xffff),
    levels,
  });
}

const littleEndian = (/** @type {Uint8Array} */ bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

function readLevel(/** @type {JsonFields} */ fields, /** @type {number} */ version, /** @type {boolean} */ tdx) {
  const tcb = fields.object('tcb');
  const components = version === 2 ? readNumbered(tcb) : readComponents(tcb, 'sgxtcbcomponents');
  const pceSvn = tcb.number('pcesvn', 0xffff);
  const tdxComponents = tdx ? readComponents(tcb, 'tdxtcbcomponents') : [];
  return Object.freeze({
    components,
    pceSvn,
    tcbDate: fields.date('tcbDate'),
    status: readStatus(fields),
    advisoryIds: readAdvisories(fields),
    order: JSON.stringify([components.map(({ svn }) => svn), pceSvn, tdxComponents.map(({ svn }) => svn)]),
  });
}

function readNumbered(/** @type {JsonFields} */ tcb) {
  return Array.from({ length: COMPONENTS }, (_, i) => ({
    svn: tcb.number(`sgxtcbcomp${String(i + 1).padStart(2, '0')}svn`, 255),
    kind: undefined,
  }));
}

function readComponents(/** @type {JsonFields} */ tcb, /** @type {string} */ name) {
  const components = tcb.objects(name, COMPONENTS).map((item) => {
    item.optionalText('category');
    return { svn: item.number('svn', 255), kind: item.optionalText('type') };
  });
  // compared pairwise later: a list of another length would silently compare fewer
  if (components.length !== COMPONENTS) throw tcb.fail(`${components.length} components in '${name}', not ${COMPONENTS}`);
  return components;
}

/** What a TCB info of TDX says of its module is read, so that what is malformed is so everywhere, and not used. */
function readTdxModules(/** @type {JsonFields} */ fields) {
  const modules = [fields.object('tdxModule')];
  if (fields.has('tdxModuleIdentities')) {
    const identities = fields.objects('tdxModuleIdentities', MAX_MODULES);
    if (identities.length === 0) throw fields.fail('an empty list of TDX module identities');
    for (const identity of identities) {
      identity.text('id');
      identity.objects('tcbLevels', MAX_LEVELS).map(readIsvSvnLevel);
    }
    modules.push(...identities);
  }
  for (const module of modules) {
    module.hexadecimal('mrsigner', 48);
    module.hexadecimal('attributes', 8);
    module.hexadecimal('attributesMask', 8);
  }
}

/** @param {JsonFields} fields @returns {IsvSvnLevel} */
function readIsvSvnLevel(fields) {
  return Object.freeze({
    isvSvn: fields.object('tcb').number('isvsvn', 0xffff),
    tcbDate: fields.date('tcbDate'),
    status: readStatus(fields),
    advisoryIds: readAdvisories(fields),
  });
}

/** A status that is not known is malformed: nobody can say what it permits. */
function readStatus(/** @type {JsonFields} */ fields) {
  const status = fields.text('tcbStatus');
  if (!TCB_STATUSES.includes(status)) throw fields.fail('a TCB status that is unknown');
  return status;
}

function readAdvisories(/** @type {JsonFields} */ fields) {
  if (!fields.has('advisoryIDs')) return [];
  const advisories = fields.texts('advisoryIDs', MAX_ADVISORIES);
  if (!advisories.every((advisory) => /^[A-Za-z0-9._-]{1,64}$/.test(advisory))) {
    throw fields.fail('an advisory id holds something else than letters, digits, dots, dashes');
  }
  return advisories;
}
