import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { authorizationCode, connect } from '@a2a-auth/client';
import {
  AUTHORIZATION_CODE,
  startAuthorizationServer,
  TOKEN_EXCHANGE,
  type Client,
} from '@a2a-auth/example-authorization-server';

import { createAgent, resourceOf, scopes } from './agent.js';
import { ask } from './messages.js';
import { person } from './person.js';

// The authorization server's notices go to standard output, which belongs to what this program says.
console.info = console.warn = () => undefined;

const secret = () => randomBytes(24).toString('base64url');
const scope = Object.keys(scopes).join(' ');

/** Listens before there is an agent, so that the others know where it will be. */
async function listen(name: string) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const client: Client = {
    client_id: name,
    client_secret: secret(),
    grant_types: [TOKEN_EXCHANGE],
    scope,
    resource: resourceOf(url),
  };
  return { name, server, url, client };
}

const [a, b, c] = [await listen('agent-a'), await listen('agent-b'), await listen('agent-c')];
const desktop: Client = {
  client_id: 'desktop',
  client_secret: secret(),
  grant_types: [AUTHORIZATION_CODE],
  scope,
  redirect_uris: ['http://127.0.0.1/callback'],
};
const authorizationServer = await startAuthorizationServer({
  port: 0,
  resource: resourceOf(a.url),
  otherResources: [resourceOf(b.url), resourceOf(c.url)],
  scopes: Object.keys(scopes),
  clients: [desktop, a.client, b.client, c.client],
  accessTokenTtl: 600,
});
const { issuer } = authorizationServer;

for (const { name, url, server, client } of [a, b, c]) {
  const agent = await createAgent({
    name,
    url,
    issuer,
    clientSecret: client.client_secret,
    others: { 'agent-a': { url: a.url }, 'agent-b': { url: b.url } },
    // The last agent of the chain takes tokens of agent-a alone, and none that went through more hands.
    ...(name === 'agent-b' ? { allowedActors: ['agent-a'], maxDelegationDepth: 1 } : {}),
  });
  server.on('request', agent);
}

const isAutomatic = process.argv.includes('--auto') || !process.stdout.isTTY;
const login = authorizationCode({
  issuer,
  clientId: desktop.client_id,
  clientSecret: desktop.client_secret,
  ...(isAutomatic ? { openBrowser: person('ada') } : {}),
});
console.log(isAutomatic ? 'Ada logs in.' : 'Log in with the browser: any name will do.');

/** Asks an agent as the person who logged in. */
async function asPerson(url: string, text: string): Promise<string> {
  return ask(await connect(url, { credentials: [login], resource: resourceOf(url) }), text);
}

console.log('Asked directly, agent-a says who called:');
console.log(`  ${await asPerson(a.url, '')}`);
console.log('Asked through agent-a, agent-b says who called:');
console.log(`  ${await asPerson(a.url, 'agent-b')}`);
console.log('Asked through agent-c, of which it takes no tokens, agent-b says:');
console.log(`  ${await asPerson(c.url, 'agent-b')}`);
console.log('Asked through agent-c and agent-a, which is one too many, agent-b says:');
console.log(`  ${await asPerson(c.url, 'agent-a agent-b')}`);

for (const { server } of [a, b, c, authorizationServer]) {
  server.close();
  server.closeAllConnections();
}
