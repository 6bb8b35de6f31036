/** TCB levels: which one a platform has, and what a platform's and a quoting enclave's status make together (section 7). */

/** @typedef {import('../formats/tcb-info.js').TcbLevel} TcbLevel */
/** @typedef {import('../formats/tcb-info.js').IsvSvnLevel} IsvSvnLevel */
/** @typedef {import('../formats/pck-extension.js').PckExtension} PckExtension */

const WITH_OUT_OF_DATE = new Map([
  ['UpToDate', 'OutOfDate'],
  ['SWHardeningNeeded', 'OutOfDate'],
  ['ConfigurationNeeded', 'OutOfDateConfigurationNeeded'],
  ['ConfigurationAndSWHardeningNeeded', 'OutOfDateConfigurationNeeded'],
]);

/** Step 7.2: the highest level that all 16 components and the PCESVN reach. The document's order is not relied on. @param {TcbLevel[]} levels @param {PckExtension} platform */
export function platformLevel(levels, platform) {
  return highest(
    levels.filter(
      (level) => platform.pceSvn >= level.pceSvn && level.components.every(({ svn }, at) => platform.components[at] >= svn),
    ),
  );
}

/** What is missing from the highest level, one line for each component below it. @param {TcbLevel[]} levels @param {PckExtension} platform */
export function shortfalls(levels, platform) {
  const top = /** @type {TcbLevel} */ (highest(levels));
  const lines = top.components.flatMap(({ svn, kind }, at) => {
    const has = platform.components[at];
    return has < svn ? [`component ${at + 1}${kind ? ` (${kind})` : ''} is ${has}, the newest level has ${svn}`] : [];
  });
  if (platform.pceSvn < top.pceSvn) lines.push(`PCESVN is ${platform.pceSvn}, the newest level has ${top.pceSvn}`);
  return lines;
}

/** Step 6.5: the highest level that an Intel enclave's ISVSVN reaches. @param {IsvSvnLevel[]} levels @param {number} isvSvn */
export function isvSvnLevel(levels, isvSvn) {
  const reached = levels.filter((level) => level.isvSvn <= isvSvn);
  return reached.reduce((best, level) => (best && best.isvSvn > level.isvSvn ? best : level), /** @type {IsvSvnLevel | undefined} */ (undefined));
}

/** Step 7.3: Intel's table. The worse of the two is not the answer: a needed configuration must not get lost. @param {string} platform @param {string} quotingEnclave */
export function converge(platform, quotingEnclave) {
  if (platform === 'Revoked' || quotingEnclave === 'Revoked') return 'Revoked';
  if (quotingEnclave === 'OutOfDate' || quotingEnclave === 'OutOfDateConfigurationNeeded') return WITH_OUT_OF_DATE.get(platform) ?? platform;
  return platform;
}

/** Levels are sorted by components, then PCESVN. */
function highest(/** @type {TcbLevel[]} */ levels) {
  const order = (/** @type {TcbLevel} */ level) => [...level.components.map(({ svn }) => svn), level.pceSvn];
  return levels.reduce((best, level) => (best && isAbove(order(best), order(level)) ? best : level), /** @type {TcbLevel | undefined} */ (undefined));
}

function isAbove(/** @type {number[]} */ left, /** @type {number[]} */ right) {
  const at = left.findIndex((number, i) => number !== right[i]);
  return at >= 0 && left[at] > right[at];
}
