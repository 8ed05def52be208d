import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { biscuit } from '@a2a-auth/biscuit';
import * as client from '@a2a-auth/client';
import { passportScheme } from '@a2a-auth/passport';
import {
  apiKey,
  apiKeyDigest,
  createDevelopmentPki,
  dpop,
  httpBasic,
  httpBearer,
  jwt,
  mutualTls,
  oauth2AuthorizationCode,
  oauth2ClientCredentials,
  oauth2DeviceCode,
  openIdConnect,
  VerifierUnavailable,
  type DevelopmentPki,
  type SecurityScheme,
  type TokenVerifier,
} from '@a2a-auth/server';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Strategy as BearerStrategy } from 'passport-http-bearer';

import { issuer } from '../../packages/biscuit/test/support/issuer.js';
import { dpopHeaders } from '../support/oauth/dpop-proof.js';
import { authorizationServer, endpoints, issuerUrl, logIn } from './authorization-server.js';

type Fields = Readonly<Record<string, string>>;

/** What a caller presents. */
export interface Presented {
  readonly headers?: Fields;
  readonly query?: Fields;
  /** Headers that are good for one request. */
  readonly proof?: (request: { readonly method: string; readonly url: string }) => Promise<Fields>;
  readonly certificate?: Certificate;
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What is wrong with a credential, or nothing. */
export type Outcome = 'missing' | Kind;
type Kind = (typeof kinds)[number];

const kinds = ['granted', 'invalid', 'insufficient', 'unavailable'] as const;

/** A scheme, with a credential for each outcome. */
export interface Subject {
  readonly name: string;
  readonly create: () => SecurityScheme;
  readonly scopes: readonly string[];
  /** Why a genuine credential does not suffice. */
  readonly insufficient?: 'insufficient_scope' | 'not_permitted';
  readonly credentials: Readonly<Record<Kind, Presented>>;
  /** What our client has the same credential from. */
  readonly source: (kind: Kind) => client.CredentialSource;
  /** Whether the source has another credential after a refusal. Here it is no better. */
  readonly renews?: true;
}

const SCOPE = 'ask';
const bearer = (token: string): Presented => ({ headers: { authorization: `Bearer ${token}` } });
const down = () => new VerifierUnavailable('The provider is down.', { retryAfter: 7 });

async function forEachKind<T>(make: (kind: Kind) => T | Promise<T>): Promise<Readonly<Record<Kind, T>>> {
  const made = await Promise.all(kinds.map(async (kind) => [kind, await make(kind)] as const));
  return Object.fromEntries(made) as Record<Kind, T>;
}

const audience = 'https://agent.example';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** @param thumbprint of the key that the token is bound to (RFC 9449 §6.1) */
async function tokenOf(kind: Kind, thumbprint?: string): Promise<string> {
  if (kind === 'unavailable') return `opaque-to-us-${randomUUID()}`;
  return new SignJWT({
    scope: kind === 'insufficient' ? 'look' : SCOPE,
    jti: randomUUID(),
    ...(thumbprint === undefined ? {} : { cnf: { jkt: thumbprint } }),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(issuerUrl)
    .setAudience(audience)
    .setSubject('ada')
    .setExpirationTime('1h')
    .sign(kind === 'invalid' ? other.privateKey : privateKey);
}

const proven = jwt({ issuer: issuerUrl, audience, publicKey });
const verifier: TokenVerifier = {
  verify(presented, context) {
    if (presented.startsWith('opaque-to-us')) throw down();
    return proven.verify(presented, context);
  },
};
/** Two of each kind. */
const tokensFor = (thumbprint?: string) =>
  forEachKind((kind) => Promise.all([tokenOf(kind, thumbprint), tokenOf(kind, thumbprint)]));
const tokens = await tokensFor();
const scopes = { [SCOPE]: 'Ask.' };

/** A client of an authorization server that gives these tokens in turn. */
function clientFor(given: readonly string[]) {
  let issued = 0;
  const server = authorizationServer(() => given[issued++ % given.length]);
  return { issuer: issuerUrl, clientId: 'client', fetch: server };
}
const service = (given: readonly string[]) =>
  client.clientCredentials({ ...clientFor(given), clientSecret: 'secret' });

const secret = 'a secret of at least thirty-two bytes';
const basic = (password: string): Presented => ({
  headers: { authorization: `Basic ${Buffer.from(`ada:${password}`).toString('base64')}` },
});

async function keySubject(place: 'header' | 'query' | 'cookie'): Promise<Subject> {
  const name = 'X-Subject-Key';
  const keys = {
    granted: 'key-with-scope',
    insufficient: 'key-without',
    unavailable: 'key-unknown-now',
    invalid: 'no-such-key',
  };
  const digests = Object.fromEntries(
    Object.entries(keys).map(([kind, key]) => [apiKeyDigest(key, secret), kind]),
  );
  const store = {
    find(digest: string) {
      const kind = digests[digest];
      if (kind === 'unavailable') throw down();
      return kind === 'invalid'
        ? undefined
        : { id: String(kind), owner: 'ada', scopes: kind === 'granted' ? [SCOPE] : [] };
    },
  };
  const presented = (key: string): Presented =>
    ({
      header: { headers: { [name]: key } },
      query: { query: { [name]: key } },
      cookie: { headers: { cookie: `${name}=${key}` } },
    })[place];
  return {
    name: `an API key in a ${place}`,
    create: () => apiKey({ in: place, name, store, secret }),
    scopes: [SCOPE],
    credentials: await forEachKind((kind) => presented(keys[kind])),
    source: (kind) => client.apiKey(keys[kind]),
  };
}

const tokenSubject = async (
  name: string,
  create: () => SecurityScheme,
  given: Pick<Subject, 'source' | 'renews'>,
): Promise<Subject> => ({
  name,
  create,
  scopes: [SCOPE],
  credentials: await forEachKind((kind) => bearer(tokens[kind][0])),
  ...given,
});

async function dpopSubject(): Promise<Subject> {
  const keys = await generateKeyPair('ES256');
  const bound = await tokensFor(await calculateJwkThumbprint(await exportJWK(keys.publicKey)));
  return {
    name: 'OAuth 2.0 client credentials with DPoP',
    create: () => oauth2ClientCredentials({ ...endpoints, scopes, verifier, dpop: dpop({ required: true }) }),
    scopes: [SCOPE],
    credentials: await forEachKind((kind) => ({
      proof: ({ method, url }) => dpopHeaders(keys, bound[kind][0], { htm: method, htu: url }),
    })),
    source: (kind) => client.dpop(service(bound[kind]), { keyPair: keys }),
    renews: true,
  };
}

async function certificateSubject(pki: DevelopmentPki): Promise<Subject> {
  const stranger = await createDevelopmentPki({ clients: ['ada'] });
  const filesOf = (kind: Kind) => {
    const files = kind === 'invalid' ? stranger.clients.ada : pki.clients[kind];
    if (files === undefined) throw new Error(`There is no certificate for ${kind}.`);
    return files;
  };
  return {
    name: 'a client certificate',
    create: () =>
      mutualTls({
        trust: { folder: pki.knownClients },
        validator: ({ subject }) => {
          if (subject === 'unavailable') throw down();
          return { principal: subject, scopes: subject === 'granted' ? [SCOPE] : [] };
        },
      }),
    scopes: [SCOPE],
    credentials: await forEachKind(async (kind): Promise<Presented> => {
      const { certificate, key } = filesOf(kind);
      return { certificate: { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') } };
    }),
    source: (kind) => client.mutualTls({ ...filesOf(kind), ca: pki.ca }),
  };
}

async function biscuitSubject(): Promise<Subject> {
  const authority = issuer();
  const rights = ['SendMessage', 'SendStreamingMessage', 'GetTask']
    .map((name) => `right("${name}");`)
    .join(' ');
  const biscuits = {
    granted: authority.token(`user("ada"); ${rights}`),
    insufficient: authority.token('user("ada"); right("CancelTask");'),
    unavailable: authority.token(`user("unavailable"); ${rights}`),
    invalid: issuer().token(`user("ada"); ${rights}`),
  };
  const revocationIds = authority.revocationIds(biscuits.unavailable);
  return {
    name: 'a biscuit',
    create: () =>
      biscuit({
        rootKeys: authority.rootKey,
        authorizer: 'allow if operation($operation), right($operation)',
        revoked: (ids) => {
          if (ids.some((id) => revocationIds.includes(id))) throw down();
          return false;
        },
        // Slow machines have time.
        limits: { time: 5000 },
      }),
    scopes: [],
    insufficient: 'not_permitted',
    credentials: await forEachKind((kind) => bearer(biscuits[kind])),
    source: (kind) => client.bearer(biscuits[kind]),
  };
}

export const pki = await createDevelopmentPki({ clients: ['granted', 'insufficient', 'unavailable'] });

/** A new scheme joins by a line. */
export const subjects: readonly Subject[] = [
  await keySubject('header'),
  await keySubject('query'),
  await keySubject('cookie'),
  await tokenSubject('a bearer token', () => httpBearer({ verifier }), {
    source: (kind) => client.bearer(tokens[kind][0]),
  }),
  {
    name: 'a password',
    create: () =>
      httpBasic({
        validator: ({ username, password }) => {
          if (password === 'unavailable') throw down();
          if (!['granted', 'insufficient'].includes(password)) return undefined;
          return { principal: username, scopes: password === 'granted' ? [SCOPE] : [] };
        },
      }),
    scopes: [SCOPE],
    credentials: await forEachKind(basic),
    source: (kind) => client.basic('ada', kind),
  },
  await tokenSubject(
    'OAuth 2.0 client credentials',
    () => oauth2ClientCredentials({ ...endpoints, scopes, verifier }),
    { source: (kind) => service(tokens[kind]), renews: true },
  ),
  await dpopSubject(),
  await tokenSubject(
    'OAuth 2.0 authorization code',
    () => oauth2AuthorizationCode({ ...endpoints, scopes, verifier }),
    {
      source: (kind) => client.authorizationCode({ ...clientFor(tokens[kind]), openBrowser: logIn }),
      renews: true,
    },
  ),
  await tokenSubject('OAuth 2.0 device code', () => oauth2DeviceCode({ ...endpoints, scopes, verifier }), {
    source: (kind) => client.deviceCode({ ...clientFor(tokens[kind]), show: () => undefined }),
    renews: true,
  }),
  await tokenSubject(
    'OpenID Connect',
    () => openIdConnect({ openIdConnectUrl: `${issuerUrl}/.well-known/openid-configuration`, verifier }),
    {
      source: (kind) =>
        client.refreshing({ ...clientFor(tokens[kind]), refreshToken: 'of a login elsewhere' }),
      renews: true,
    },
  ),
  await certificateSubject(pki),
  await biscuitSubject(),
  {
    name: 'a Passport strategy',
    create: () =>
      passportScheme(
        new BearerStrategy((given, done) => {
          if (given === 'unavailable') done(down());
          else if (given === 'invalid') done(null, false);
          else done(null, { id: 'ada' }, { scope: given === 'granted' ? [SCOPE] : [] });
        }),
        { type: 'http', scheme: 'Bearer' },
      ),
    scopes: [SCOPE],
    credentials: await forEachKind(bearer),
    source: (kind) => client.bearer(kind),
  },
];
