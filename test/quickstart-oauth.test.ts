import { clientCredentialsGrant, ClientSecretBasic } from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bearer, dataOf, listTasks, sendMessage, stateOf } from './support/oauth/agent.js';
import { DEVICE_CODE } from './support/oauth/authorization-server.js';
import { logInOnDevice, oauthClient } from './support/oauth/clients.js';
import { UserAgent } from './support/oauth/user-agent.js';
import type { Program } from './support/program.js';
import { startQuickstart, type QuickstartJson } from './support/quickstart.js';

let json: QuickstartJson;
let program: Program;

beforeAll(async () => {
  ({ json, program } = await startQuickstart());
});
afterAll(() => program.stop());

const agent = () => ({ jsonRpcUrl: json.endpoints.JSONRPC });

function clientNamed(name: string) {
  const client = json.authorizationServer.clients.find(({ client_id: id }) => id === name);
  if (client === undefined) throw new Error(`The quickstart lists no client ${name}.`);
  return client;
}

const configured = (name: string) =>
  oauthClient(json.authorizationServer, name, {
    authentication: ClientSecretBasic(clientNamed(name).client_secret),
  });

async function ownToken(name: string): Promise<string> {
  const { scope } = clientNamed(name);
  const { resource } = json.authorizationServer;
  return (await clientCredentialsGrant(await configured(name), { scope, resource })).access_token;
}

describe('the quickstart, as its --json line describes it', () => {
  it('has an authorization server, and says whom it issues tokens to', async () => {
    const { issuer, resource, clients } = json.authorizationServer;
    expect(new URL(issuer).hostname).toBe('localhost');
    expect(json.endpoints.JSONRPC.startsWith(resource)).toBe(true);
    expect(clients.map(({ client_id: id, grant_types: types }) => [id, types])).toEqual([
      ['orchestrator', ['client_credentials']],
      ['monitor', ['client_credentials']],
      ['terminal', [DEVICE_CODE]],
    ]);
    const card = (await (await fetch(json.cardUrl, { headers: { 'A2A-Version': '1.0' } })).json()) as {
      securitySchemes: object;
    };
    expect(card.securitySchemes).toMatchObject({
      service: { oauth2SecurityScheme: { flows: { clientCredentials: { tokenUrl: `${issuer}/token` } } } },
      person: { oauth2SecurityScheme: { flows: { deviceCode: { tokenUrl: `${issuer}/token` } } } },
    });
  });

  it('lets in each of the alternatives it lists', async () => {
    expect(json.alternatives.map(({ name }) => name)).toContain('service');
    for (const { headers } of json.alternatives) {
      expect(stateOf(await sendMessage(agent(), headers))).toBe('TASK_STATE_COMPLETED');
    }
  });

  it('lets the orchestrator in', async () => {
    const answer = await sendMessage(agent(), bearer(await ownToken('orchestrator')));
    expect(stateOf(answer)).toBe('TASK_STATE_COMPLETED');
  });

  it('tells the monitor which scope it lacks', async () => {
    const token = await ownToken('monitor');
    const answer = await sendMessage(agent(), bearer(token));
    expect(stateOf(answer)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(dataOf(answer)).toMatchObject({ reason: 'insufficient_scope', missingScopes: ['agent:ask'] });
    const other = await listTasks(agent(), bearer(token));
    expect(other.status).toBe(403);
    expect(other.challenge).toContain('error="insufficient_scope", scope="agent:ask"');
  });

  it('lets the person in who confirms the code of the terminal', async () => {
    const { scope } = clientNamed('terminal');
    const { resource } = json.authorizationServer;
    const client = await configured('terminal');
    const tokens = await logInOnDevice(client, new UserAgent(), { login: 'ada' }, { scope, resource });
    const answer = await sendMessage(agent(), bearer(tokens.access_token));
    expect(stateOf(answer)).toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(answer.body)).toContain('You are ada ');
  });
});
