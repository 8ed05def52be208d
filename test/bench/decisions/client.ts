import { apiKey, authenticatingFetch, clientCredentials, type CredentialSource } from '@a2a-auth/client';

import { AGENT_PATH } from '../settings.js';
import { measureRounds, type Work } from './rounds.js';

const url = `https://agent.example${AGENT_PATH}`;
const tokenEndpoint = 'https://issuer.example/token';

const call = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'SendMessage',
  params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Hello?' }] } },
});
const answer = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: { message: { messageId: 'm2', role: 'ROLE_AGENT', parts: [{ text: 'Hello.' }] } },
});

const json = (body: string) =>
  new Response(body, {
    headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
  });

/** The agent answers at once and without a network, so that what is left is the client's own time. */
const agent: typeof fetch = () => Promise.resolve(json(answer));
const issuer: typeof fetch = () =>
  Promise.resolve(json(JSON.stringify({ access_token: 'token', token_type: 'Bearer', expires_in: 3600 })));

const calls =
  (send: typeof fetch): Work =>
  async () => {
    const response = await send(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: call,
    });
    await response.json();
  };

const authenticated = (scheme: object, source: CredentialSource): Work =>
  calls(
    authenticatingFetch({
      url,
      card: {
        name: 'Agent',
        url,
        preferredTransport: 'JSONRPC',
        protocolVersion: '0.3.0',
        securitySchemes: { it: scheme },
        security: [{ it: [] }],
      },
      credentials: { it: source },
      fetch: agent,
    }),
  );

await measureRounds(() => ({
  'without authentication': calls(agent),
  'API key': authenticated({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, apiKey('a-key')),
  'token by client credentials': authenticated(
    { type: 'oauth2', flows: { clientCredentials: { tokenUrl: tokenEndpoint, scopes: {} } } },
    clientCredentials({ tokenEndpoint, clientId: 'bench', clientSecret: 'a-secret', fetch: issuer }),
  ),
}));
