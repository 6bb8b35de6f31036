/** Merkle proofs as RFC 9162 section 2.1.3.2 has them, over leaves that are already hashed. */
import { concat, equal, sha256 } from '../base/bytes.js';

const node = (/** @type {Uint8Array} */ left, /** @type {Uint8Array} */ right) => sha256(concat(Uint8Array.of(1), left, right));

/** The exact number of nodes in the path of leaf `index` in a tree of `size` leaves. @param {number} size @param {number} index */
export function pathLength(size, index) {
  let length = 0;
  for (let [leaves, at] = [size, index]; leaves > 1; length += 1) {
    let split = 1;
    while (2 * split < leaves) split *= 2;
    [leaves, at] = at < split ? [split, at] : [leaves - split, at - split];
  }
  return length;
}

/** Check a path completely: index below size, exact length, the root that results. @param {Uint8Array} leaf @param {{index: number, size: number, path: Uint8Array[], root: Uint8Array}} proof */
export async function verifyInclusion(leaf, { index, size, path, root }) {
  if (index < 0 || index >= size || path.length !== pathLength(size, index)) return false;
  let position = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (position & 1 || position === last) {
      hash = await node(sibling, hash);
      while (!(position & 1) && position) {
        position >>= 1;
        last >>= 1;
      }
    } else {
      hash = await node(hash, sibling);
    }
    position >>= 1;
    last >>= 1;
  }
  return last === 0 && equal(hash, root);
}
