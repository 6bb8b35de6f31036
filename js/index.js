/** Attested services for browsers and Node: open the channel of docs/spec/attested-channel.md and verify SGX evidence. */
export { connect } from './src/connect.js';
export { readInvitation } from './src/invitation.js';
export { INTEL_SGX_ROOT, readPolicy, standingPolicy } from './src/verifier/policy.js';
export { appraise, assess } from './src/verifier/appraisal.js';
export { MalformedToken, verifyResult } from './src/verifier/result.js';
export { readCollateral } from './src/formats/collateral.js';
export {
  AppraisalRefused,
  ChannelRefused,
  Malformed,
  MalformedCollateral,
  MalformedMessage,
  MalformedQuote,
  Misconfigured,
  StoreUnreachable,
  StrongroomError,
} from './src/base/errors.js';
