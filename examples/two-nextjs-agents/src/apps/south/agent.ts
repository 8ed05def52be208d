import { AgentSecurity, oauth2FromIssuer } from '@a2a-auth/server';
import { agentFetchHandler } from '@a2a-auth/server/fetch';
import { DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';

import { agentCard } from '../../lib/card.js';
import { oncePerProcess } from '../../lib/once.js';
import { peer } from '../../lib/peer.js';
import { resourceOf, settings } from '../../lib/settings.js';
import { TurnTaker } from '../../lib/turn-taker.js';

/** The agent south: whoever calls it needs a token for it, with the scope `south:turn`. It calls north. */
const agent = oncePerProcess('south', async () => {
  const own = settings();
  const resource = resourceOf(own.url);
  const { clientCredentials } = await oauth2FromIssuer({
    issuer: own.issuer,
    flows: ['clientCredentials'],
    scopes: { 'south:turn': 'Have south take a turn.' },
    audience: resource,
  });
  const security = new AgentSecurity({ resource })
    .addSecurityScheme('partners', clientCredentials)
    .addSecurityRequirement({ partners: ['south:turn'] });
  const requestHandler = new DefaultRequestHandler(
    agentCard('south', own.url),
    new InMemoryTaskStore(),
    new TurnTaker('south', peer(own, 'north:turn')),
  );
  return agentFetchHandler({ security, requestHandler });
});

export async function handle(request: Request): Promise<Response> {
  const answer = await agent();
  return answer(request);
}
