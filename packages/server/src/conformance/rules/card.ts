import { isDeepStrictEqual } from 'node:util';

import { AgentCard, SecurityScheme as CardScheme } from '@a2a-js/sdk';

import type { SecuritySchemeDeclaration } from '../../card/declaration.js';
import { toCardJson, toLegacyCardJson } from '../../card/publish.js';
import { toLegacySecurityScheme, toSecurityScheme } from '../../card/render.js';
import { VerifierUnavailable } from '../../errors.js';
import { isScope } from '../../scope.js';
import { SCHEME_ID, securityOf } from '../trial.js';
import { show, violation } from '../violation.js';
import type { Rule } from './rule.js';

/** What each declaration may say, and what kind of value. */
const members: Readonly<Record<SecuritySchemeDeclaration['type'], Readonly<Record<string, Kind>>>> = {
  apiKey: { in: 'text', name: 'text' },
  http: { scheme: 'text', bearerFormat: 'text?' },
  oauth2: { flow: 'flow', oauth2MetadataUrl: 'url?' },
  openIdConnect: { openIdConnectUrl: 'url' },
  mutualTLS: {},
};

const flowMembers: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  authorizationCode: {
    authorizationUrl: 'url',
    tokenUrl: 'url',
    refreshUrl: 'url?',
    scopes: 'scopes',
    pkceRequired: 'boolean',
  },
  clientCredentials: { tokenUrl: 'url', refreshUrl: 'url?', scopes: 'scopes' },
  deviceCode: { deviceAuthorizationUrl: 'url', tokenUrl: 'url', refreshUrl: 'url?', scopes: 'scopes' },
};

type Kind = 'text' | 'text?' | 'url' | 'url?' | 'flow' | 'scopes' | 'boolean';

export const cardRules: readonly Rule[] = [
  {
    title: 'the declaration can be published on cards of both versions, and nothing of it is lost',
    async check(trial) {
      const { declaration } = trial.scheme;
      if (declaration === undefined) return; // Not published: development only.
      securityOf(trial).validate();
      assertMembers('declaration', declaration, {
        type: 'text',
        description: 'text?',
        ...(members[declaration.type] ?? {}),
      });
      const rendered = toSecurityScheme(declaration);
      const current = CardScheme.fromJSON(JSON.parse(JSON.stringify(CardScheme.toJSON(rendered))));
      if (!isDeepStrictEqual(current, rendered)) throw lost('A2A 1.0');
      const legacy = toLegacySecurityScheme(declaration);
      if (!isDeepStrictEqual(JSON.parse(JSON.stringify(legacy)), legacy)) throw lost('A2A 0.3');
      const { published } = securityOf(trial);
      const card = securityOf(trial).publish(cardOf());
      const json = toCardJson(card) as { securitySchemes?: object };
      const legacyJson = (await toLegacyCardJson(card, published)) as
        { securitySchemes?: object } | undefined;
      for (const { securitySchemes = {} } of [json, legacyJson ?? {}]) {
        if (!Object.hasOwn(securitySchemes, SCHEME_ID)) throw lost('the agent card');
      }
      if (!isDeepStrictEqual(trial.scheme.declaration, declaration)) {
        throw violation(
          'The declaration is another one each time it is read.',
          'Make it once: what is published and what is enforced must be one.',
        );
      }
    },
  },
  {
    title: 'requirements can ask for every declared scope',
    check(trial) {
      const { scopes, declaration } = trial.scheme;
      const inCard = declaration?.type === 'oauth2' ? Object.keys(declaration.flow.scopes) : [];
      if (scopes === undefined) return;
      if (!Array.isArray(scopes) || !scopes.every(isScope)) {
        throw violation(
          `The scopes of the scheme are ${show(scopes)}.`,
          'Give a list of scope names, each without blanks and quotes, or leave it out if any may be asked for.',
        );
      }
      if (new Set(scopes).size < scopes.length) {
        throw violation(`The scopes of the scheme are ${show(scopes)}.`, 'Name each scope once.');
      }
      const missing = inCard.filter((scope) => !scopes.includes(scope));
      if (missing.length > 0) {
        throw violation(
          `The card offers the scopes ${show(missing)}, for which no requirement may ask.`,
          'Put them into the scopes of the scheme as well.',
        );
      }
      for (const scope of scopes) securityOf(trial, [scope]).validate();
    },
  },
  {
    title: 'the optional members are what the contract says',
    async check({ scheme }) {
      const { secretHeaders, authorizationServers, provenByConnection } = scheme;
      const isList = (value: unknown, isMember: (member: unknown) => boolean) =>
        value === undefined || (Array.isArray(value) && value.every(isMember));
      if (
        !isList(secretHeaders, (name) => typeof name === 'string' && /^[!#$%&'*+\-.^_`|~\w]+$/.test(name))
      ) {
        throw violation(`secretHeaders is ${show(secretHeaders)}.`, 'Give a list of header names.');
      }
      if (!isList(authorizationServers, (url) => typeof url === 'string' && URL.canParse(url))) {
        throw violation(
          `authorizationServers is ${show(authorizationServers)}.`,
          'Give a list of issuer URLs, as RFC 9728 publishes them.',
        );
      }
      if (provenByConnection !== undefined && typeof provenByConnection !== 'boolean') {
        throw violation(`provenByConnection is ${show(provenByConnection)}.`, 'Give true or false.');
      }
      try {
        await scheme.warmUp?.();
      } catch (error) {
        if (error instanceof VerifierUnavailable) return;
        throw violation(
          `warmUp() failed with ${error instanceof Error ? error.name : typeof error}.`,
          'Throw VerifierUnavailable when something cannot be had now: the agent can serve all the same.',
        );
      }
    },
  },
];

function assertMembers(what: string, value: object, known: Readonly<Record<string, Kind>>): void {
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(known, name)) continue;
    throw violation(
      `The ${what} has "${name}", for which A2A 1.0 has no place.`,
      `Leave it out; known are ${Object.keys(known).join(', ')}.`,
    );
  }
  for (const [name, kind] of Object.entries(known)) {
    const member = (value as Record<string, unknown>)[name];
    if (kind === 'flow') assertFlow(member);
    else if (!isOfKind(member, kind)) {
      throw violation(`"${name}" of the ${what} is ${show(member)}.`, `It must be ${explanations[kind]}.`);
    }
  }
}

function assertFlow(flow: unknown): void {
  const { type } = (typeof flow === 'object' && flow !== null ? flow : {}) as { type?: unknown };
  const known = typeof type === 'string' && Object.hasOwn(flowMembers, type) ? flowMembers[type] : undefined;
  if (known === undefined) {
    throw violation(
      `The flow of the declaration has the type ${show(type)}.`,
      `Use one of ${Object.keys(flowMembers).join(', ')}.`,
    );
  }
  assertMembers('flow', flow as object, { type: 'text', ...known });
}

const explanations: Readonly<Record<Exclude<Kind, 'flow'>, string>> = {
  text: 'a text that is not empty',
  'text?': 'a text, or left out',
  url: 'an absolute URL',
  'url?': 'an absolute URL, or left out',
  scopes: 'an object of scope names and their descriptions',
  boolean: 'true or false',
};

function isOfKind(value: unknown, kind: Exclude<Kind, 'flow'>): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string' && value !== '';
    case 'text?':
      return value === undefined || typeof value === 'string';
    case 'url':
      return typeof value === 'string' && URL.canParse(value);
    case 'url?':
      return value === undefined || (typeof value === 'string' && URL.canParse(value));
    case 'boolean':
      return typeof value === 'boolean';
    case 'scopes':
      return (
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.values(value).every((description) => typeof description === 'string')
      );
  }
}

function lost(where: string): Error {
  return violation(
    `Something of the declaration is lost in ${where}.`,
    'Say nothing in it but what SecuritySchemeDeclaration has, in plain texts.',
  );
}

function cardOf(): AgentCard {
  return AgentCard.fromJSON({
    name: 'Conformance',
    description: 'Tries a scheme.',
    version: '1.0.0',
    supportedInterfaces: ['1.0', '0.3'].map((protocolVersion) => ({
      url: 'https://agent.example/a2a',
      protocolBinding: 'JSONRPC',
      protocolVersion,
    })),
    capabilities: {},
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
  });
}
