import {
  AgentSecurity,
  ConfigurationError,
  introspection,
  jwtFromIssuer,
  oauth2FromIssuer,
  openIdConnect,
  type OAuth2Flow,
} from '@a2a-auth/server';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { bearer, listTasks, startOAuthAgent } from '../support/oauth/agent.js';
import {
  SECRET,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { serviceToken } from '../support/oauth/clients.js';
import { closeServersAfterTests, listen } from '../support/oauth/servers.js';

closeServersAfterTests();

let server: AuthorizationServer;
beforeAll(async () => {
  server = await startAuthorizationServer();
});

const scopes = { ask: 'Ask the agent.', admin: 'Run the agent.' };
const audience = 'https://agent.example/a2a';
const fromIssuer = <Flow extends OAuth2Flow>(issuer: string, flows: readonly Flow[]) =>
  oauth2FromIssuer({ issuer, flows, scopes, audience });

/** The one problem of the configuration. */
async function problemOf(configuring: Promise<unknown>): Promise<string> {
  const error: unknown = await configuring.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  const { code, message } = error as ConfigurationError;
  expect(code).toBe('INVALID_OPTION');
  return message;
}

describe('oauth2FromIssuer is told at start-up', () => {
  it.each<[OAuth2Flow, 'clientCredentials' | 'deviceFlow', string]>([
    ['clientCredentials', 'clientCredentials', 'does not offer the flow clientCredentials'],
    ['deviceCode', 'deviceFlow', 'has no device_authorization_endpoint, which the flow deviceCode needs'],
  ])('that the provider does not offer %s', async (flow, turnedOff) => {
    const without = await startAuthorizationServer({ without: [turnedOff] });
    const problem = await problemOf(fromIssuer(without.issuer, ['authorizationCode', flow]));
    expect(problem).toContain(`${without.issuer} does not offer the flow ${flow}`);
    expect(problem).toContain('Turn it on there, or leave it out of flows.');
    await expect(fromIssuer(without.issuer, ['authorizationCode'])).resolves.toBeDefined();
  });

  it('that there is no such flow', async () => {
    const problem = await problemOf(fromIssuer(server.issuer, ['implicit' as OAuth2Flow]));
    expect(problem).toContain('"implicit" is no flow');
    expect(problem).toContain('authorizationCode, clientCredentials, deviceCode');
  });

  it('that the metadata is of another issuer', async () => {
    const alias = server.issuer.replace('127.0.0.1', 'localhost');
    const problem = await problemOf(fromIssuer(alias, ['clientCredentials']));
    expect(problem).toContain(alias);
    expect(problem).toContain(server.issuer);
  });

  it('that the issuer ends in a slash that the real one has not', async () => {
    const problem = await problemOf(fromIssuer(`${server.issuer}/`, ['clientCredentials']));
    expect(problem).toContain(`${server.issuer}/`);
    expect(problem).toContain(`instead of "${server.issuer}/"`);
  });

  it('that nobody is there', async () => {
    const down = await startAuthorizationServer();
    down.setDown(true);
    const problem = await problemOf(fromIssuer(down.issuer, ['clientCredentials']));
    expect(problem).toContain(`The metadata of the issuer ${down.issuer} cannot be had`);
  });

  it('that somebody else is there', async () => {
    const { url, serve } = await listen();
    serve((_req, res) => {
      res.setHeader('content-type', 'text/html').end('<h1>Welcome</h1>');
    });
    expect(await problemOf(fromIssuer(url, ['clientCredentials']))).toContain(url);
  });

  it('that the provider sends it elsewhere, where it does not go', async () => {
    const { url, serve } = await listen();
    serve((req, res) => {
      res.writeHead(302, { location: `${server.issuer}${req.url ?? ''}` }).end();
    });
    expect(await problemOf(fromIssuer(url, ['clientCredentials']))).toContain(
      'a redirect, which is not followed',
    );
  });

  it.each([
    ['plain http to another machine', 'http://idp.example', 'is not https'],
    ['no URL', 'idp.example', 'is not a URL'],
  ])('that the issuer is %s', async (_name, issuer, why) => {
    const problem = await problemOf(fromIssuer(issuer, ['clientCredentials']));
    expect(problem).toContain(issuer);
    expect(problem).toContain(why);
  });
});

describe('oauth2FromIssuer declares', () => {
  let card: Record<'1.0' | '0.3', Record<string, unknown>>;
  beforeEach(async () => {
    const agent = await startOAuthAgent(async (context) => {
      const oauth = await oauth2FromIssuer({
        issuer: server.issuer,
        flows: ['clientCredentials', 'authorizationCode', 'deviceCode'],
        scopes,
        audience: context.resource,
        description: 'The company login.',
      });
      return new AgentSecurity(context)
        .addSecurityScheme('service', oauth.clientCredentials)
        .addSecurityScheme('person', oauth.authorizationCode)
        .addSecurityScheme('device', oauth.deviceCode)
        .addSecurityRequirement({ service: ['ask'] })
        .addSecurityRequirement({ person: ['ask', 'admin'] })
        .addSecurityRequirement({ device: [] });
    });
    const read = async (version: string) =>
      (await (
        await fetch(`${agent.url}/.well-known/agent-card.json`, { headers: { 'A2A-Version': version } })
      ).json()) as Record<string, unknown>;
    card = { '1.0': await read('1.0'), '0.3': await read('0.3') };
  });

  const tokenUrl = () => `${server.issuer}/token`;
  const authorizationUrl = () => `${server.issuer}/auth`;
  const deviceAuthorizationUrl = () => `${server.issuer}/device/auth`;
  const common = () => ({
    description: 'The company login.',
    oauth2MetadataUrl: `${server.issuer}/.well-known/openid-configuration`,
  });

  it("each flow with the provider's endpoints, on the 1.0 card", () => {
    expect(card['1.0'].securitySchemes).toEqual({
      service: {
        oauth2SecurityScheme: { ...common(), flows: { clientCredentials: { tokenUrl: tokenUrl(), scopes } } },
      },
      person: {
        oauth2SecurityScheme: {
          ...common(),
          flows: {
            authorizationCode: {
              authorizationUrl: authorizationUrl(),
              tokenUrl: tokenUrl(),
              scopes,
              pkceRequired: true,
            },
          },
        },
      },
      device: {
        oauth2SecurityScheme: {
          ...common(),
          flows: {
            deviceCode: {
              deviceAuthorizationUrl: deviceAuthorizationUrl(),
              tokenUrl: tokenUrl(),
              scopes,
            },
          },
        },
      },
    });
    expect(card['1.0'].securityRequirements).toEqual([
      { schemes: { service: { list: ['ask'] } } },
      { schemes: { person: { list: ['ask', 'admin'] } } },
      { schemes: { device: {} } },
    ]);
  });

  it("each flow with the provider's endpoints, on the 0.3 card", () => {
    expect(card['0.3'].securitySchemes).toEqual({
      service: {
        type: 'oauth2',
        ...common(),
        flows: { clientCredentials: { tokenUrl: tokenUrl(), scopes } },
      },
      person: {
        type: 'oauth2',
        ...common(),
        flows: {
          authorizationCode: { authorizationUrl: authorizationUrl(), tokenUrl: tokenUrl(), scopes },
        },
      },
      device: {
        type: 'oauth2',
        ...common(),
        flows: {
          deviceCode: {
            deviceAuthorizationUrl: deviceAuthorizationUrl(),
            tokenUrl: tokenUrl(),
            scopes,
          },
        },
      },
    });
    expect(card['0.3'].security).toEqual([
      { service: ['ask'] },
      { person: ['ask', 'admin'] },
      { device: [] },
    ]);
  });

  it('metadata that is really there', async () => {
    const { oauth2MetadataUrl } = common();
    expect(await (await fetch(oauth2MetadataUrl)).json()).toMatchObject({
      issuer: server.issuer,
      token_endpoint: tokenUrl(),
    });
  });
});

it.each(['', '/tenant'])(
  'oauth2FromIssuer finds RFC 8414 metadata alone, of an issuer at "%s"',
  async (path) => {
    const { url, serve } = await listen();
    const metadata = {
      issuer: `${url}${path}`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/jwks`,
      response_types_supported: [],
    };
    serve((req, res) => {
      const isThere = req.url === `/.well-known/oauth-authorization-server${path}`;
      res.writeHead(isThere ? 200 : 404, { 'content-type': 'application/json' });
      res.end(isThere ? JSON.stringify(metadata) : '{}');
    });
    const { clientCredentials } = await fromIssuer(metadata.issuer, ['clientCredentials']);
    expect(clientCredentials.declaration).toMatchObject({
      flow: { type: 'clientCredentials', tokenUrl: metadata.token_endpoint },
      oauth2MetadataUrl: `${url}/.well-known/oauth-authorization-server${path}`,
    });
  },
);

it('oauth2FromIssuer takes another verifier than JWTs', async () => {
  const agent = await startOAuthAgent(async (context) => {
    const { clientCredentials } = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials'],
      scopes,
      audience: context.resource,
      verifier: introspection({
        issuer: server.issuer,
        audience: context.resource,
        clientId: 'agent',
        clientAuthentication: { method: 'client_secret_basic', clientSecret: SECRET },
      }),
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
  });
  server.addResource(agent.resource, { accessTokenFormat: 'opaque', jwt: undefined });
  expect((await listTasks(agent, bearer(await serviceToken(server, agent.resource)))).status).toBe(200);
});

it('several issuers in one scheme are told apart by their exact iss', async () => {
  const other = await startAuthorizationServer();
  const stranger = await startAuthorizationServer();
  const agent = await startOAuthAgent((context) =>
    new AgentSecurity(context)
      .addSecurityScheme(
        'login',
        openIdConnect({
          openIdConnectUrl: `${server.issuer}/.well-known/openid-configuration`,
          verifier: jwtFromIssuer({
            issuer: [server.issuer, { issuer: other.issuer }],
            audience: context.resource,
          }),
        }),
      )
      .addSecurityRequirement({ login: ['ask'] }),
  );
  for (const issuer of [server, other, stranger]) issuer.addResource(agent.resource);

  for (const issuer of [server, other]) {
    expect((await listTasks(agent, bearer(await serviceToken(issuer, agent.resource)))).status).toBe(200);
    expect(agent.decisions.at(-1)?.principalId).toBe(`${issuer.issuer}|service`);
  }
  const keysBefore = stranger.calls('/jwks');
  expect((await listTasks(agent, bearer(await serviceToken(stranger, agent.resource)))).status).toBe(401);
  expect(agent.lastRefusal()).toContain('none of the trusted issuers');
  expect(stranger.calls('/jwks')).toBe(keysBefore);
});
