// Two Next.js apps, each an agent that calls the other:
//
//   npm run example two-nextjs-agents              lets them talk, shows denied calls, and ends
//   npm run example two-nextjs-agents -- --serve   goes on serving
//
// It uses PORT and the next two: for each agent, and for the authorization server.
import { randomBytes } from 'node:crypto';

import { clientCredentials, connect } from '@a2a-auth/client';
import {
  CLIENT_CREDENTIALS,
  startAuthorizationServer,
  type Client,
} from '@a2a-auth/example-authorization-server';
import { Message } from '@a2a-js/sdk';

import { callDirectly, requestToken } from './denied-calls.js';
import { resourceOf, toEnvironment } from './lib/settings.js';
import { linesOf, question } from './lib/turn.js';
import { buildApps, isReady, startApp, type RunningApp } from './next-apps.js';

const TURNS = 4;
const TOKEN_TTL_SECONDS = 3600;

// The authorization server's notices go to standard output, which belongs to what this program says.
console.info = console.error;

const port = Number(process.env.PORT ?? 41_261);
if (!Number.isInteger(port) || port < 1 || port > 65_533) {
  console.error(
    `PORT must be a number from 1 to 65533 (the next two are used as well), not ${String(process.env.PORT)}.`,
  );
  process.exit(1);
}
const serving = process.argv.includes('--serve');
const north = `http://localhost:${String(port)}`;
const south = `http://localhost:${String(port + 1)}`;
const toNorth = { resource: resourceOf(north), scope: 'north:turn' };
const toSouth = { resource: resourceOf(south), scope: 'south:turn' };

/** The agents as clients: each may ask for tokens for the other one. The referee begins the conversation. */
const clients = {
  north: oauthClient('north', toSouth.scope),
  south: oauthClient('south', toNorth.scope),
  referee: oauthClient('referee', toNorth.scope),
};

const running: RunningApp[] = [];
const stop = async (code: number) => {
  await Promise.all(running.map((app) => app.stop()));
  process.exit(code);
};

try {
  await buildApps(['north', 'south']);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stop(serving ? 0 : 1));
  await run();
} catch (error) {
  console.error(error);
  await stop(1);
}

async function run(): Promise<void> {
  const { issuer } = await startAuthorizationServer({
    port: port + 2,
    resource: toNorth.resource,
    otherResources: [toSouth.resource],
    scopes: [toNorth.scope, toSouth.scope],
    clients: Object.values(clients),
    accessTokenTtl: TOKEN_TTL_SECONDS,
  });
  const settings = ({ client_id, client_secret }: Client, url: string, peerUrl: string) =>
    toEnvironment({ url, peerUrl, issuer, clientId: client_id, clientSecret: client_secret });
  running.push(
    startApp('north', port, settings(clients.north, north, south)),
    startApp('south', port + 1, settings(clients.south, south, north)),
  );
  const failed = running.map((app) => app.failed);
  const cards = [north, south].map((agent) => `${agent}/.well-known/agent-card.json`);
  await Promise.race([Promise.all(cards.map(isReady)), ...failed]);
  console.log(`The cards: ${cards.join(' and ')}\n`);
  await Promise.race([serving ? invite(issuer) : show(issuer), ...failed]);
  if (serving) await Promise.race(failed);
  await stop(0);
}

/** The conversation, and what becomes of those who may not take part. */
async function show(issuer: string): Promise<void> {
  console.log('The conversation, as it comes:');
  const { client_id: clientId, client_secret: clientSecret } = clients.referee;
  const client = await connect(north, {
    credentials: [clientCredentials({ issuer, clientId, clientSecret })],
    resource: toNorth.resource,
  });
  const first = {
    tenant: '',
    message: question({ turn: 1, turns: TURNS }),
    configuration: undefined,
    metadata: undefined,
  };
  let turn = 0;
  for await (const event of client.sendMessageStream(first)) {
    for (const line of linesOf(event)) {
      console.log(`  ${line}`);
      turn++;
    }
  }
  if (turn !== TURNS)
    throw new Error(`The conversation ended after ${String(turn)} of ${String(TURNS)} turns.`);

  console.log('\nDenied:');
  const tell = (what: string, answer: string) => {
    console.log(`  ${what}:\n    ${answer}`);
  };
  tell('A message to south without a token', await callDirectly(south, 'SendMessage'));
  tell('Any other call of south without a token', await callDirectly(south, 'GetTask'));
  const forNorth = await tokenFor(issuer, clients.south, toNorth);
  const forSouth = await tokenFor(issuer, clients.north, toSouth);
  tell('A message to south with a token for north', await callDirectly(south, 'SendMessage', forNorth));
  tell('A message to north with a token for south', await callDirectly(north, 'SendMessage', forSouth));
  const own = await requestToken(issuer, clients.north, toNorth);
  tell("A token for north, asked for by north's client", 'refused' in own ? own.refused : 'issued');
}

/** A call for people to try. */
async function invite(issuer: string): Promise<void> {
  const message = Message.toJSON(question({ turn: 1, turns: TURNS }));
  const body = { jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message } };
  const token = await tokenFor(issuer, clients.referee, toNorth);
  console.log('Have them talk, for an hour from now:');
  console.log(`curl -N ${north}/a2a/jsonrpc \\
  -H 'Content-Type: application/json' -H 'A2A-Version: 1.0' -H 'Authorization: Bearer ${token}' \\
  -d '${JSON.stringify(body)}'`);
}

async function tokenFor(issuer: string, client: Client, parameters: typeof toNorth): Promise<string> {
  const answer = await requestToken(issuer, client, parameters);
  if ('token' in answer) return answer.token;
  throw new Error(`The authorization server gave ${client.client_id} no token: ${answer.refused}`);
}

function oauthClient(name: string, scope: string): Client {
  return {
    client_id: name,
    client_secret: randomBytes(24).toString('base64url'),
    grant_types: [CLIENT_CREDENTIALS],
    scope,
  };
}
