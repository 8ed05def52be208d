import { generateKeyPairSync } from 'node:crypto';

import { clientCredentials, type OAuthOptions } from '@a2a-auth/client';
import { AgentSecurity, oauth2FromIssuer, principalOf } from '@a2a-auth/server';
import { exportJWK, generateKeyPair } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';

import { bearer, listTasks, sendMessage, startOAuthAgent, type OAuthAgent } from '../support/oauth/agent.js';
import {
  SECRET,
  startAuthorizationServer,
  TOKEN_TTL,
  type AuthorizationServer,
} from '../support/oauth/authorization-server.js';
import { passTime, stopClock } from '../support/oauth/clock.js';
import { closeServersAfterTests } from '../support/oauth/servers.js';
import {
  bearerScheme,
  failure,
  oauthScheme,
  refuse,
  requestFor,
  scriptedServer,
  sendJson,
  tokenAnswer,
  tokenOf,
} from './support.js';

closeServersAfterTests();
stopClock();

let server: AuthorizationServer;
let agent: OAuthAgent;
const keys = generateKeyPair('ES256', { extractable: true });

beforeAll(async () => {
  const { publicKey } = await keys;
  server = await startAuthorizationServer({
    clients: [
      {
        client_id: 'signing-service',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig' }] },
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: 'posting-service',
        client_secret: SECRET,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
  });
  agent = await startOAuthAgent(async (context) => {
    const oauth = await oauth2FromIssuer({
      issuer: server.issuer,
      flows: ['clientCredentials'],
      scopes: { ask: 'Ask the agent.', admin: 'Run the agent.' },
      audience: context.resource,
    });
    return new AgentSecurity(context)
      .addSecurityScheme('service', oauth.clientCredentials)
      .addSecurityRequirement({ service: ['ask'] });
  });
  server.addResource(agent.resource);
});

const service = (changes: Partial<OAuthOptions> = {}) =>
  clientCredentials({ issuer: server.issuer, clientId: 'service', clientSecret: SECRET, ...changes });
const wanted = (changes = {}) => requestFor(agent.resource, changes);

describe('at a real authorization server', () => {
  it('gets a token that the agent takes', async () => {
    const answer = await sendMessage(agent, bearer(await tokenOf(service(), wanted())));
    expect(answer.status).toBe(200);
    expect(principalOf(agent.lastCall())).toMatchObject({ subject: 'service', scopes: ['ask'] });
  });

  it('proves itself by a signed assertion', async () => {
    const { privateKey } = await keys;
    const source = clientCredentials({ issuer: server.issuer, clientId: 'signing-service', privateKey });
    expect((await listTasks(agent, bearer(await tokenOf(source, wanted())))).status).toBe(200);
  });

  it('sends the secret in the body where that is asked for', async () => {
    const source = service({ clientId: 'posting-service', clientSecretMethod: 'client_secret_post' });
    expect((await listTasks(agent, bearer(await tokenOf(source, wanted())))).status).toBe(200);
  });

  it('uses a token endpoint without asking for metadata', async () => {
    const source = clientCredentials({
      tokenEndpoint: `${server.issuer}/token`,
      clientId: 'service',
      clientSecret: SECRET,
    });
    const before = server.calls('/.well-known/openid-configuration');
    expect((await listTasks(agent, bearer(await tokenOf(source, wanted())))).status).toBe(200);
    expect(server.calls('/.well-known/openid-configuration')).toBe(before);
  });

  it('gives a thousand concurrent calls one token by one request', async () => {
    const source = service();
    const before = server.calls('/token');
    const tokens = await Promise.all(Array.from({ length: 1_000 }, () => tokenOf(source, wanted())));
    expect(new Set(tokens).size).toBe(1);
    expect(server.calls('/token')).toBe(before + 1);
  });

  it('keeps the token, and gets another one shortly before its end', async () => {
    const source = service();
    const first = await tokenOf(source, wanted());
    passTime(TOKEN_TTL - 31);
    expect(await tokenOf(source, wanted())).toBe(first);
    passTime(2);
    expect(await tokenOf(source, wanted())).not.toBe(first);
  });

  it('uses the token to its end while the server is down, and no longer', async () => {
    const source = service();
    const first = await tokenOf(source, wanted());
    server.setDown(true);
    passTime(TOKEN_TTL - 10);
    expect(await tokenOf(source, wanted())).toBe(first);
    passTime(11);
    expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    server.setDown(false);
    expect(await tokenOf(source, wanted())).not.toBe(first);
  });

  it('has tokens of their own for other scopes and resources', async () => {
    server.addResource('https://other.example');
    const source = service();
    const tokens = await Promise.all([
      tokenOf(source, wanted()),
      tokenOf(source, wanted({ scopes: ['ask', 'admin'] })),
      tokenOf(source, requestFor('https://other.example')),
    ]);
    expect(new Set(tokens).size).toBe(3);
    expect(await tokenOf(source, wanted({ scopes: ['admin', 'ask'] }))).toBe(tokens[1]);
    // Nobody gets more than was asked for, or pushes out what another uses.
    expect(await tokenOf(source, wanted())).toBe(tokens[0]);
    expect(await tokenOf(source, requestFor('https://other.example'))).toBe(tokens[2]);
  });

  it('says how a refused client can help itself, and nothing of its secret', async () => {
    const clientSecret = 'wrong-secret-4711';
    const error = await failure(tokenOf(service({ clientSecret }), wanted()), clientSecret);
    expect(error).toMatchObject({ name: 'ClientError', code: 'TOKEN_REFUSED' });
    expect(String(error)).toMatch(/invalid_client.*Check clientId/);
  });

  it('says that the client may not have this grant', async () => {
    expect(await failure(tokenOf(service({ clientId: 'other-web' }), wanted()))).toMatchObject({
      code: 'TOKEN_REFUSED',
      message: expect.stringContaining('not allowed') as string,
    });
  });

  it('insists on the issuer as the metadata has it', async () => {
    expect(await failure(tokenOf(service({ issuer: `${server.issuer}/` }), wanted()))).toMatchObject({
      code: 'ISSUER_NOT_TRUSTED',
    });
  });
});

describe('after a refusal', () => {
  it('gets another token, once for all who were refused the same', async () => {
    const source = service();
    const first = await tokenOf(source, wanted());
    const before = server.calls('/token');
    const all = Array.from({ length: 20 }, async () => {
      expect(await refuse(source, wanted(), `Bearer ${first}`)).toBe(true);
      return tokenOf(source, wanted());
    });
    const tokens = new Set(await Promise.all(all));
    expect(tokens.size).toBe(1);
    expect(tokens).not.toContain(first);
    expect(server.calls('/token')).toBe(before + 1);
  });

  it('does not forget a token that has replaced the refused one', async () => {
    const source = service();
    const first = await tokenOf(source, wanted());
    await refuse(source, wanted(), `Bearer ${first}`);
    const second = await tokenOf(source, wanted());
    expect(await refuse(source, wanted(), `Bearer ${first}`)).toBe(true);
    expect(await tokenOf(source, wanted())).toBe(second);
  });

  it('does not ask for a token with every call to an agent that refuses all of them', async () => {
    const source = service();
    const first = await tokenOf(source, wanted());
    await refuse(source, wanted(), `Bearer ${first}`);
    const second = await tokenOf(source, wanted());
    expect(await refuse(source, wanted(), `Bearer ${second}`)).toBe(false);
    passTime(61);
    expect(await refuse(source, wanted(), `Bearer ${second}`)).toBe(true);
  });

  it('keeps a token that lacks a scope', async () => {
    const source = service();
    const first = await tokenOf(source, wanted());
    const challenge = { scheme: 'bearer', params: { error: 'insufficient_scope', scope: 'admin' } };
    expect(await refuse(source, wanted(), `Bearer ${first}`, challenge)).toBe(false);
    expect(await tokenOf(source, wanted())).toBe(first);
  });
});

describe('scopes', () => {
  it('are those of the requirement and those that are always asked for', async () => {
    const scripted = await scriptedServer({ '/token': tokenAnswer() });
    await tokenOf(service({ issuer: scripted.url, scopes: ['always'] }), wanted({ scopes: ['b', 'a'] }));
    expect(scripted.callsOf('/token')[0]?.form.get('scope')).toBe('a always b');
  });

  it('are bounded by those that are allowed', async () => {
    const before = server.calls('/token');
    const source = service({ allowedScopes: ['ask'] });
    expect(await failure(tokenOf(source, wanted({ scopes: ['ask', 'admin'] })))).toMatchObject({
      code: 'SCOPE_NOT_ALLOWED',
      message: expect.stringContaining('"admin"') as string,
    });
    expect(server.calls('/token')).toBe(before);
  });
});

describe('a token endpoint', () => {
  const secret = 'client-secret-0815';
  const at = (issuer: string, changes: Partial<OAuthOptions> = {}) =>
    clientCredentials({ issuer, clientId: 'service', clientSecret: secret, timeout: 200, ...changes });

  it.each<[string, Parameters<typeof scriptedServer>[0], string]>([
    ['that hangs', { '/token': () => undefined }, 'PROVIDER_UNAVAILABLE'],
    [
      'that answers without end',
      {
        '/token': (response) => {
          response.writeHead(200, { 'content-type': 'application/json' });
          const more = () => {
            while (!response.destroyed && response.write('[1,'.repeat(10_000)));
          };
          response.on('drain', more);
          more();
        },
      },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'that answers in HTML',
      {
        '/token': (response) => {
          response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${secret}</p>`);
        },
      },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'that answers with broken JSON',
      {
        '/token': (response) => {
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end('{"access_token":secret-token-1234}');
        },
      },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'that gives a token of another type',
      { '/token': tokenAnswer({ access_token: 'secret-token-1234', token_type: 'mac' }) },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'that gives a DPoP token nobody asked for',
      { '/token': tokenAnswer({ access_token: 'secret-token-1234', token_type: 'DPoP' }) },
      'TOKEN_REFUSED',
    ],
    [
      'that gives a token with a line break',
      { '/token': tokenAnswer({ access_token: 'secret-token-1234\r\nx-admin: 1' }) },
      'TOKEN_REFUSED',
    ],
    [
      'that gives no token',
      { '/token': tokenAnswer({ access_token: undefined, other: 'secret-token-1234' }) },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'that echoes the secret',
      {
        '/token': (response) => {
          sendJson(response, 401, { error: 'invalid_client', error_description: `not "${secret}"` });
        },
      },
      'TOKEN_REFUSED',
    ],
    [
      'that echoes the header',
      {
        '/token': (response, { headers }) => {
          sendJson(response, 400, { error: 'invalid_request', error_description: headers.authorization });
        },
      },
      'TOKEN_REFUSED',
    ],
    [
      'that is overloaded',
      {
        '/token': (response) => {
          response.writeHead(503).end();
        },
      },
      'PROVIDER_UNAVAILABLE',
    ],
  ])('%s is reported without what it said', async (_, answers, code) => {
    const scripted = await scriptedServer(answers);
    const error = await failure(
      tokenOf(at(scripted.url), wanted()),
      secret,
      Buffer.from(`service:${secret}`).toString('base64'),
      'secret-token-1234',
      'secret-tok',
    );
    expect(error).toMatchObject({ name: 'ClientError', code });
  });

  it.each([302, 307, 308])('that redirects with %d has the client go nowhere', async (status) => {
    const elsewhere = await scriptedServer({ '/token': tokenAnswer() });
    const scripted = await scriptedServer({
      '/token': (response) => {
        response.writeHead(status, { location: `${elsewhere.url}/token` }).end();
      },
    });
    expect(await failure(tokenOf(at(scripted.url), wanted()), secret)).toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      message: expect.stringContaining('redirect') as string,
    });
    expect(elsewhere.calls).toEqual([]);
  });

  it('that calls an unknown client an unauthorized one has both looked at', async () => {
    const scripted = await scriptedServer({
      '/token': (response) => {
        sendJson(response, 401, { error: 'unauthorized_client' });
      },
    });
    expect(await failure(tokenOf(at(scripted.url), wanted()))).toMatchObject({
      message: expect.stringContaining('Check clientId') as string,
    });
  });

  it('cannot write to the terminal', async () => {
    const scripted = await scriptedServer({
      '/token': (response) => {
        sendJson(response, 400, { error: 'invalid_request', error_description: 'a\u001b[31mb\nc' });
      },
    });
    expect(String(await failure(tokenOf(at(scripted.url), wanted())))).toMatch(/\(a \[31mb c\)/);
  });

  it('that is plain http to another machine gets nothing', async () => {
    const scripted = await scriptedServer({}, { token_endpoint: 'http://login.example/token' });
    expect(await failure(tokenOf(at(scripted.url), wanted()))).toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it('may give a token without an end, which is used until it is refused', async () => {
    let count = 0;
    const scripted = await scriptedServer({
      '/token': (response) => {
        sendJson(response, 200, { access_token: `token-${String(++count)}`, token_type: 'bearer' });
      },
    });
    const source = at(scripted.url);
    expect(await tokenOf(source, wanted())).toBe('token-1');
    passTime(1_000_000);
    expect(await tokenOf(source, wanted())).toBe('token-1');
    await refuse(source, wanted(), 'Bearer token-1');
    expect(await tokenOf(source, wanted())).toBe('token-2');
  });

  it('may give a token that has ended already, which is used once', async () => {
    const scripted = await scriptedServer({ '/token': tokenAnswer({ expires_in: 0 }) });
    const source = at(scripted.url);
    await tokenOf(source, wanted());
    await tokenOf(source, wanted());
    expect(scripted.callsOf('/token')).toHaveLength(2);
  });

  it('is asked for an audience and further parameters', async () => {
    const scripted = await scriptedServer({ '/token': tokenAnswer() });
    const source = at(scripted.url, { audience: 'api', resource: false, tokenParameters: { tenant: 'x' } });
    await tokenOf(source, wanted());
    expect(Object.fromEntries(scripted.callsOf('/token')[0]?.form ?? [])).toEqual({
      grant_type: 'client_credentials',
      audience: 'api',
      tenant: 'x',
      scope: 'ask',
    });
  });
});

describe('metadata', () => {
  it('is fetched once for concurrent calls', async () => {
    const scripted = await scriptedServer({ '/token': tokenAnswer() });
    const path = '/.well-known/openid-configuration';
    const source = clientCredentials({ issuer: scripted.url, clientId: 'service', clientSecret: SECRET });
    await Promise.all(['a', 'b', 'c'].map((scope) => tokenOf(source, wanted({ scopes: [scope] }))));
    expect(scripted.callsOf(path)).toHaveLength(1);
  });

  it('that names another issuer is refused before anything is sent there', async () => {
    const scripted = await scriptedServer({ '/token': tokenAnswer() }, { issuer: 'https://evil.example' });
    const source = clientCredentials({ issuer: scripted.url, clientId: 'service', clientSecret: SECRET });
    expect(await failure(tokenOf(source, wanted()))).toMatchObject({ code: 'ISSUER_NOT_TRUSTED' });
    expect(scripted.callsOf('/token')).toHaveLength(0);
  });
});

describe('the signal of a call', () => {
  it('ends the waiting of this call, and not of others', async () => {
    const source = service();
    const release = server.hold('/token');
    const controller = new AbortController();
    const given = tokenOf(source, wanted({ signal: controller.signal }));
    const other = tokenOf(source, wanted());
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    release();
    expect(await other).not.toBe('');
  });

  it('ends the request when nobody waits for it any more', async () => {
    let isClosed: (closed: true) => void;
    const closed = new Promise<true>((resolve) => (isClosed = resolve));
    const received = new Promise<void>((resolve) => {
      void scriptedServer({
        '/token': (response) => {
          response.on('close', () => {
            isClosed(true);
          });
          resolve();
        },
      }).then(({ url }) => {
        const source = clientCredentials({ issuer: url, clientId: 'service', clientSecret: SECRET });
        const call = tokenOf(source, wanted({ signal: controller.signal }));
        call.catch(() => undefined);
      });
    });
    const controller = new AbortController();
    await received;
    controller.abort();
    expect(await closed).toBe(true);
  });

  it('that is aborted already starts nothing', async () => {
    const before = server.calls('/token');
    await expect(service().credential(wanted({ signal: AbortSignal.abort() }))).rejects.toThrow('abort');
    expect(server.calls('/token')).toBe(before);
  });
});

describe('a scheme', () => {
  it.each([
    [oauthScheme('clientCredentials'), undefined],
    [bearerScheme, undefined],
    [oauthScheme('deviceCode'), 'deviceCode'],
    [{ type: 'http', scheme: 'Basic' } as const, 'Basic'],
    [{ type: 'apiKey', in: 'header', name: 'x' } as const, 'apiKey'],
    [
      {
        type: 'openIdConnect',
        openIdConnectUrl: 'https://evil.example/.well-known/openid-configuration',
      } as const,
      'evil',
    ],
  ])('%j fits or says why not', (scheme, reason) => {
    const unfit = service().unfitFor(scheme);
    if (reason === undefined) expect(unfit).toBeUndefined();
    else expect(unfit).toContain(reason);
  });

  it('of another issuer is met when trust says that it is the same', () => {
    const scheme = {
      type: 'openIdConnect',
      openIdConnectUrl: 'https://agent.example/.well-known/openid-configuration',
    } as const;
    expect(service({ trust: ['https://agent.example'] }).unfitFor(scheme)).toBeUndefined();
  });
});

it('refuses options that cannot be meant', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  for (const options of [
    { clientSecret: '' },
    { clientId: '' },
    { issuer: 'http://login.example' },
    { issuer: 'no url' },
    { scopes: ['two words'] },
    { timeout: 0 },
    { tokenParameters: { client_secret: 'x' } },
    { clientSecret: undefined as unknown as string },
    { privateKey: privateKey as never },
    { issuer: undefined as unknown as string },
  ]) {
    expect(() => service(options), JSON.stringify(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }) as Error,
    );
  }
});
