import { SecurityRequirement, type AgentCard } from '@a2a-js/sdk';

import type { SecuritySchemeDeclaration } from '../card/declaration.js';
import { toCardJson, toLegacyCardJson, type PublishedSecurity } from '../card/publish.js';
import { toSecurityRequirement } from '../card/render.js';
import type { HttpCall } from './call.js';
import { jsonResponse, type HttpResponse } from './response.js';

/**
 * Whether the SDK cannot write this extended card: its 0.3 translation loses the device code flow, and its HTTP+JSON
 * form then fails on what is left.
 */
export function isLostInTranslation(call: HttpCall, { schemes }: PublishedSecurity): boolean {
  return call.protocolVersion === '0.3' && [...schemes.values()].some(hasDeviceCode);
}

function hasDeviceCode(scheme: SecuritySchemeDeclaration | undefined): boolean {
  return scheme?.type === 'oauth2' && scheme.flow.type === 'deviceCode';
}

/**
 * The extended card in the 0.3 form of the call's binding: as JSON, or for HTTP+JSON as the JSON of the protocol buffers,
 * whose security fields A2A 1.0 took over. Those of 0.3 have no device code flow: clients fail on it, so it is left out.
 *
 * @returns undefined when the card offers no 0.3 interface
 */
export async function legacyExtendedCardResponse(
  call: HttpCall,
  card: AgentCard,
  security: PublishedSecurity,
): Promise<HttpResponse | undefined> {
  const legacy = await toLegacyCardJson(card, security);
  if (legacy === undefined) return undefined;
  if (call.binding === 'JSONRPC')
    return jsonResponse(200, call, { jsonrpc: '2.0', id: call.id, result: legacy });
  const { securitySchemes = {} } = toCardJson(card) as { readonly securitySchemes?: object };
  const known = Object.entries(securitySchemes).filter(([id]) => !hasDeviceCode(security.schemes.get(id)));
  return jsonResponse(200, call, {
    ...legacy,
    securitySchemes: Object.fromEntries(known),
    security: security.requirements.map((requirement) =>
      SecurityRequirement.toJSON(toSecurityRequirement(requirement)),
    ),
  });
}
