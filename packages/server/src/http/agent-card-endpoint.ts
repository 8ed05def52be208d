import { createHash } from 'node:crypto';

import { A2A_VERSION_HEADER } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

import type { AgentSecurity } from '../agent-security.js';
import { toCardJson, toLegacyCardJson } from '../card/publish.js';
import { configurationError } from '../errors.js';
import { warnOfOtherPaths, type BindingPaths } from './card-paths.js';
import { isLegacyVersion } from './version.js';
import type { HttpResponse } from './response.js';

/** What the answer depends on. */
export interface AgentCardRequest {
  readonly method: string;
  /** `A2A-Version`. */
  readonly version: string | undefined;
  /** `If-None-Match`. */
  readonly ifNoneMatch: string | undefined;
}

/**
 * Answers with the agent card as the protocol's JSON: in the 1.0 form, or in the 0.3 form for callers who ask for it by
 * `A2A-Version`, or by sending none, provided that the card offers a 0.3 interface. Who sends none may also be a 1.0 client
 * that left it out: for that one, the 0.3 form has the `supportedInterfaces` of 1.0 too, as from the SDK.
 *
 * @param requestHandler what `security.protect()` returned
 * @param maxAge seconds; 0 makes clients and proxies ask each time
 * @param paths where calls are answered, for whoever knows: the card is compared with them once
 * @throws {ConfigurationError} `INVALID_OPTION`
 */
export function agentCardEndpoint(
  security: AgentSecurity<string>,
  requestHandler: Pick<A2ARequestHandler, 'getAgentCard'>,
  maxAge = 3600,
  paths?: BindingPaths,
): (request: AgentCardRequest) => Promise<HttpResponse> {
  if (!Number.isSafeInteger(maxAge) || maxAge < 0) {
    throw configurationError(
      'INVALID_OPTION',
      'The maxAge of the card must be a whole number of seconds, 0 or more.',
    );
  }
  let compared = paths;
  return async ({ method, version, ifNoneMatch }) => {
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, headers: { allow: 'GET, HEAD' }, body: '' };
    }
    const card = await requestHandler.getAgentCard();
    if (compared !== undefined) warnOfOtherPaths(card, compared);
    compared = undefined;
    const current = toCardJson(card);
    const legacy = isLegacyVersion(version) ? await toLegacyCardJson(card, security.published) : undefined;
    const { supportedInterfaces } = current;
    const extra = version === undefined || version === '' ? { supportedInterfaces } : {};
    const body = JSON.stringify(legacy === undefined ? current : { ...legacy, ...extra });
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    const headers = {
      vary: A2A_VERSION_HEADER,
      'cache-control': maxAge > 0 ? `public, max-age=${String(maxAge)}` : 'no-cache',
      etag,
    };
    return isCurrent(ifNoneMatch, etag)
      ? { status: 304, headers, body: '' }
      : { status: 200, headers: { 'content-type': 'application/json', ...headers }, body };
  };
}

/** RFC 9110 §13.1.2. The `Cache-Control: no-cache` that fetch sends along with every If-None-Match does not matter. */
function isCurrent(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
