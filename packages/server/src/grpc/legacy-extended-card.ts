import type { SecurityScheme } from '@a2a-js/sdk';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';

/**
 * Leaves schemes with a device code flow out of the extended card: the protocol buffers of 0.3 have no such flow, and the
 * SDK's service fails on what is left of one.
 */
export function withoutDeviceCode(handler: A2ARequestHandler): A2ARequestHandler {
  return {
    ...handler,
    async getAuthenticatedExtendedAgentCard(params, context) {
      const card = await handler.getAuthenticatedExtendedAgentCard(params, context);
      const known = Object.entries(card.securitySchemes).filter(([, scheme]) => !hasDeviceCode(scheme));
      return { ...card, securitySchemes: Object.fromEntries(known) };
    },
  };
}

function hasDeviceCode({ scheme }: SecurityScheme): boolean {
  return scheme?.$case === 'oauth2SecurityScheme' && scheme.value.flows?.flow?.$case === 'deviceCode';
}
