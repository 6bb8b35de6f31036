/** Invitations: where a deployment is and which it is. Not secret; it must arrive unaltered. */
import { fromBase64 } from './base/bytes.js';
import { Malformed } from './base/errors.js';
import { Fields } from './base/fields.js';

const PREFIX = 'strongroom1:';
const MAX_TEXT = 2048;

/**
 * Read an invitation. `simulatedRoot` is the public key of a simulated platform's root, or null for real hardware; naming
 * it does not make a client accept it.
 * @param {string} text
 */
export function readInvitation(text) {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX) || trimmed.length > MAX_TEXT) throw new Malformed(`an invitation begins with '${PREFIX}'`, { path: 'invitation' });
  const encoded = trimmed.slice(PREFIX.length).replace(/-/g, '+').replace(/_/g, '/');
  const body = fromBase64(encoded.padEnd(4 * Math.ceil(encoded.length / 4), '='));
  if (body === undefined) throw new Malformed('not base64url', { path: 'invitation' });
  const fields = Fields.decode(body, { path: 'invitation', error: Malformed, maxBytes: MAX_TEXT });
  const invitation = {
    url: fields.text('url', 512),
    deployment: fields.bytes('deployment', { length: 32 }),
    simulatedRoot: fields.optionalBytes('simulated_root', { atMost: 256 }),
  };
  fields.done();
  return Object.freeze(invitation);
}
