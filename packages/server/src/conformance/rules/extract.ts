import { isDeepStrictEqual } from 'node:util';

import type { AuthRequest } from '../../auth-request.js';
import { garbageFor } from '../garbage.js';
import { changedRequest, conformanceRequest, type RequestParts } from '../request.js';
import {
  authSchemeOf,
  credentialOf,
  declaredPlace,
  extract,
  lookUpsOf,
  requestOf,
  secretsOf,
  valuesInPlace,
  type Trial,
} from '../trial.js';
import { violation } from '../violation.js';
import type { Rule } from './rule.js';

export const extractRules: readonly Rule[] = [
  {
    title: 'extract() finds good and bad credentials alike, at once',
    async check(trial) {
      const { fixture } = trial;
      credentialOf(trial, await requestOf(fixture.good), 'good');
      credentialOf(trial, await requestOf(fixture.bad), 'bad');
    },
  },
  {
    title: 'extract() finds nothing in a request without its credential',
    check(trial) {
      const bare: Record<string, RequestParts> = {
        'an empty request': {},
        'a request with other headers, parameters and cookies': {
          header: { accept: 'application/json', 'x-conformance': 'value' },
          query: { conformance: 'value' },
          cookie: { conformance: 'value' },
        },
        ...(authSchemeOf(trial) === undefined
          ? {}
          : { 'a request with another auth-scheme': { header: { authorization: 'Conformance abc' } } }),
      };
      for (const [what, parts] of Object.entries(bare)) {
        const extraction = extract(trial, conformanceRequest(parts));
        if (!extraction.found && extraction.malformed === undefined) continue;
        throw violation(
          `extract() ${extraction.found ? 'returned something for' : 'takes for malformed'} ${what}.`,
          'Return undefined when there is no credential for this scheme: another scheme may have one.',
        );
      }
    },
  },
  {
    title: 'extract() finds the same in the same request',
    async check(trial) {
      const request = await requestOf(trial.fixture.good);
      const first = credentialOf(trial, request);
      // Twice more: a regular expression with the flag g finds something every other time.
      for (const again of [credentialOf(trial, request), credentialOf(trial, request)]) {
        if (isDeepStrictEqual(again, first)) continue;
        throw violation(
          'extract() found something else when it was asked again.',
          'Let it depend on the request alone, and keep no state (a regular expression with the flag g or y has one).',
        );
      }
    },
  },
  {
    title: 'extract() takes a repeated credential for malformed',
    async check(trial) {
      const { fixture } = trial;
      const request = await requestOf(fixture.good);
      const bad = await requestOf(fixture.bad);
      for (const { place, name } of credentialLookUps(trial, request)) {
        const [value = ''] = request[place](name);
        const another = bad[place](name)[0] ?? value;
        for (const values of [
          [value, value],
          [value, another],
          [another, value],
        ]) {
          const repeated = changedRequest(request, (kind, wanted, found) =>
            kind === place && wanted === name ? values : found,
          );
          const extraction = extract(trial, repeated);
          if (!extraction.found && extraction.malformed !== undefined) continue;
          throw violation(
            `extract() ${extraction.found ? 'picked one of' : 'passed over'} two values of the ${place} "${name}".`,
            'Throw MalformedCredential when a look-up finds more than one value: whatever else reads the request might pick the other.',
          );
        }
      }
    },
  },
  {
    title: 'extract() looks into the declared place alone',
    async check(trial) {
      const request = await requestOf(trial.fixture.good);
      for (const [where, parts] of misplaced(trial, request)) {
        if (!extract(trial, conformanceRequest(parts)).found) continue;
        throw violation(
          `extract() found the credential in ${where}, where the declaration does not put it.`,
          'Look into the place that the declaration names and into no other: a credential in a URL ends up in logs, and one in a cookie comes with requests of other sites.',
        );
      }
    },
  },
  {
    title: 'extract() reads the name of the HTTP auth-scheme whole, and without regard to case',
    async check(trial) {
      const authScheme = authSchemeOf(trial);
      const request = await requestOf(trial.fixture.good);
      const [field] = request.header('authorization');
      if (authScheme === undefined || field === undefined) return;
      const rest = field.replace(/^\S+/, '');
      const named = (name: string) =>
        changedRequest(request, (place, header, values) =>
          place === 'header' && header === 'authorization' ? [`${name}${rest}`] : values,
        );
      for (const name of [authScheme.toLowerCase(), authScheme.toUpperCase()]) {
        if (extract(trial, named(name)).found) continue;
        throw violation(
          `extract() does not find the credential after "${name}".`,
          'Match the auth-scheme without regard to case (RFC 9110 §11.1).',
        );
      }
      for (const name of [`${authScheme}x`, `x${authScheme}`]) {
        const extraction = extract(trial, named(name));
        if (!extraction.found && extraction.malformed === undefined) continue;
        throw violation(
          `extract() takes "${name}" for ${authScheme}.`,
          'Compare the whole auth-scheme, up to the blank, and return undefined for any other.',
        );
      }
    },
  },
  {
    title: 'extract() answers garbage with nothing but MalformedCredential',
    check(trial) {
      for (const [what, request] of garbageFor(trial)) {
        try {
          extract(trial, request);
        } catch (error) {
          throw violation(`About ${what}:`, (error as Error).message);
        }
      }
    },
  },
  {
    title: 'extract() takes what is no credential for malformed',
    needs: 'malformed',
    async check(trial) {
      const requests = (await trial.fixture.malformed?.()) ?? [];
      for (const [index, request] of requests.entries()) {
        const extraction = extract(trial, request);
        if (!extraction.found && extraction.malformed !== undefined) continue;
        throw violation(
          `extract() ${extraction.found ? 'found a credential' : 'found nothing'} in malformed request ${String(index + 1)} of the fixture.`,
          'Throw MalformedCredential when there is something in the place that is no single well-formed credential.',
        );
      }
    },
  },
];

/** The look-ups by which the credential is found: those whose values hold a secret, and the declared one. */
function credentialLookUps(trial: Trial, request: AuthRequest) {
  const declared = declaredPlace(trial);
  const secrets = secretsOf(trial, request);
  return lookUpsOf(trial, request).filter(
    ({ place, name }) =>
      (declared?.kind === place && declared.name === name) ||
      request[place](name).some((value) => secrets.some((secret) => value.includes(secret))),
  );
}

/** The credential of a request wherever it does not belong. */
function misplaced(trial: Trial, request: AuthRequest): [where: string, parts: RequestParts][] {
  const { declaration } = trial.scheme;
  const declared = declaredPlace(trial);
  if (declared === undefined) return [];
  const { kind, name } = declared;
  if (kind === 'client certificate') return forwardedCertificates(request);
  const authScheme = authSchemeOf(trial);
  return valuesInPlace(trial, request).flatMap((value): [string, RequestParts][] => {
    const bare = authScheme === undefined ? value : value.replace(/^\S+ +/, '');
    const spelled =
      declaration?.type === 'apiKey' ? [declaration.name, name] : ['access_token', 'token', name];
    const places: [string, RequestParts][] = [
      ...[...new Set(spelled)].map((key): [string, RequestParts] => [
        `the parameter "${key}"`,
        { query: { [key]: bare } },
      ]),
      ...[...new Set(spelled)].map((key): [string, RequestParts] => [
        `the cookie "${key}"`,
        { cookie: { [key]: bare } },
      ]),
      [`the header "${name}"`, { header: { [name]: bare } }],
      ['the header "X-Access-Token"', { header: { 'x-access-token': bare } }],
      ['the header "Proxy-Authorization"', { header: { 'proxy-authorization': value } }],
      ['the header "Authorization"', { header: { authorization: `Bearer ${bare}` } }],
    ];
    return places.filter(([, parts]) => conformanceRequest(parts)[kind](name).length === 0);
  });
}

/** A certificate in a header is the business of the binding, which knows the proxies; anybody can send one. */
function forwardedCertificates(request: AuthRequest): [where: string, parts: RequestParts][] {
  const der = request.clientCertificate?.der;
  if (der === undefined) return [];
  const base64 = Buffer.from(der).toString('base64');
  const pem = encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`);
  const headers: Record<string, string> = {
    'client-cert': `:${base64}:`,
    'x-ssl-client-cert': pem,
    'x-forwarded-client-cert': `Cert="${pem}"`,
    'x-amzn-mtls-clientcert': pem,
  };
  return Object.entries(headers).map(([name, value]) => [
    `the header "${name}"`,
    { header: { [name]: value } },
  ]);
}
