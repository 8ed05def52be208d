import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import {
  apiKey,
  apiKeyDigest,
  createDevelopmentPki,
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
import { biscuit } from '@a2a-auth/biscuit';
import { passportScheme } from '@a2a-auth/passport';
import { SignJWT } from 'jose';
import { Strategy as BearerStrategy } from 'passport-http-bearer';

import { issuer } from '../../packages/biscuit/test/support/issuer.js';

/** What a caller presents. */
export interface Presented {
  readonly headers?: Readonly<Record<string, string>>;
  readonly certificate?: Certificate;
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What is wrong with a credential, or nothing. */
export type Outcome = 'granted' | 'missing' | 'invalid' | 'insufficient' | 'unavailable';

/** A scheme, with a credential for each outcome. */
export interface Subject {
  readonly name: string;
  readonly create: () => SecurityScheme;
  readonly scopes: readonly string[];
  /** Why a genuine credential does not suffice. */
  readonly insufficient?: 'insufficient_scope' | 'not_permitted';
  readonly credentials: Readonly<Record<Exclude<Outcome, 'missing'>, Presented>>;
}

const SCOPE = 'ask';
const bearer = (token: string): Presented => ({ headers: { authorization: `Bearer ${token}` } });
const down = () => new VerifierUnavailable('The provider is down.', { retryAfter: 7 });

const issuerUrl = 'https://issuer.example';
const audience = 'https://agent.example';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const token = (scope: string, key = privateKey) =>
  new SignJWT({ scope })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuer(issuerUrl)
    .setAudience(audience)
    .setSubject('ada')
    .setExpirationTime('1h')
    .sign(key);

const proven = jwt({ issuer: issuerUrl, audience, publicKey });
const verifier: TokenVerifier = {
  verify(presented, context) {
    if (presented === 'opaque-to-us') throw down();
    return proven.verify(presented, context);
  },
};
const tokens = {
  granted: bearer(await token(SCOPE)),
  invalid: bearer(await token(SCOPE, other.privateKey)),
  insufficient: bearer(await token('look')),
  unavailable: bearer('opaque-to-us'),
};
const scopes = { [SCOPE]: 'Ask.' };
const endpoints = {
  authorizationUrl: `${issuerUrl}/authorize`,
  deviceAuthorizationUrl: `${issuerUrl}/device`,
  tokenUrl: `${issuerUrl}/token`,
};

const secret = 'a secret of at least thirty-two bytes';
const basic = (password: string): Presented => ({
  headers: { authorization: `Basic ${Buffer.from(`ada:${password}`).toString('base64')}` },
});

function keySubject(): Subject {
  const keys = { granted: 'key-with-scope', insufficient: 'key-without', unavailable: 'key-unknown-now' };
  const digests = Object.fromEntries(
    Object.entries(keys).map(([outcome, key]) => [apiKeyDigest(key, secret), outcome]),
  );
  const store = {
    find(digest: string) {
      const outcome = digests[digest];
      if (outcome === 'unavailable') throw down();
      return outcome && { id: outcome, owner: 'ada', scopes: outcome === 'granted' ? [SCOPE] : [] };
    },
  };
  const presented = (key: string): Presented => ({ headers: { 'x-subject-key': key } });
  return {
    name: 'an API key',
    create: () => apiKey({ in: 'header', name: 'X-Subject-Key', store: store as never, secret }),
    scopes: [SCOPE],
    credentials: {
      granted: presented(keys.granted),
      insufficient: presented(keys.insufficient),
      unavailable: presented(keys.unavailable),
      invalid: presented('no-such-key'),
    },
  };
}

const tokenSubject = (name: string, create: () => SecurityScheme): Subject => ({
  name,
  create,
  scopes: [SCOPE],
  credentials: tokens,
});

async function certificateSubject(pki: DevelopmentPki): Promise<Subject> {
  const stranger = await createDevelopmentPki({ clients: ['ada'] });
  const certificateOf = async (
    { clients }: DevelopmentPki,
    name: string,
  ): Promise<{ certificate: Certificate }> => {
    const files = clients[name];
    if (files === undefined) throw new Error(`There is no certificate for ${name}.`);
    return {
      certificate: {
        cert: await readFile(files.certificate, 'utf8'),
        key: await readFile(files.key, 'utf8'),
      },
    };
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
    credentials: {
      granted: await certificateOf(pki, 'granted'),
      insufficient: await certificateOf(pki, 'insufficient'),
      unavailable: await certificateOf(pki, 'unavailable'),
      invalid: await certificateOf(stranger, 'ada'),
    },
  };
}

function biscuitSubject(): Subject {
  const authority = issuer();
  const rights = ['SendMessage', 'SendStreamingMessage', 'GetTask']
    .map((name) => `right("${name}");`)
    .join(' ');
  const unavailable = authority.token(`user("unavailable"); ${rights}`);
  const revocationIds = authority.revocationIds(unavailable);
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
    credentials: {
      granted: bearer(authority.token(`user("ada"); ${rights}`)),
      insufficient: bearer(authority.token('user("ada"); right("CancelTask");')),
      unavailable: bearer(unavailable),
      invalid: bearer(issuer().token(`user("ada"); ${rights}`)),
    },
  };
}

export const pki = await createDevelopmentPki({ clients: ['granted', 'insufficient', 'unavailable'] });

/** A new scheme joins by a line. */
export const subjects: readonly Subject[] = [
  keySubject(),
  tokenSubject('a bearer token', () => httpBearer({ verifier })),
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
    credentials: {
      granted: basic('granted'),
      insufficient: basic('insufficient'),
      unavailable: basic('unavailable'),
      invalid: basic('wrong'),
    },
  },
  tokenSubject('OAuth 2.0 client credentials', () =>
    oauth2ClientCredentials({ ...endpoints, scopes, verifier }),
  ),
  tokenSubject('OAuth 2.0 authorization code', () =>
    oauth2AuthorizationCode({ ...endpoints, scopes, verifier }),
  ),
  tokenSubject('OAuth 2.0 device code', () => oauth2DeviceCode({ ...endpoints, scopes, verifier })),
  tokenSubject('OpenID Connect', () =>
    openIdConnect({ openIdConnectUrl: `${issuerUrl}/.well-known/openid-configuration`, verifier }),
  ),
  await certificateSubject(pki),
  biscuitSubject(),
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
    credentials: {
      granted: bearer('granted'),
      insufficient: bearer('insufficient'),
      unavailable: bearer('unavailable'),
      invalid: bearer('invalid'),
    },
  },
];
