import type { OAuthFlowDeclaration, SecuritySchemeDeclaration } from '@a2a-auth/server/card';

import { bounded, isObject, member, text, type JsonObject } from './json.js';

/** A scheme of a card, as far as it could be understood. */
export interface CardScheme {
  /** How the scheme can be met, any one of them: one, or for an oauth2 scheme of A2A 0.3 one a flow. */
  readonly ways: readonly SecuritySchemeDeclaration[];
  /** Why there is no way, for people to read. */
  readonly problem: string | undefined;
}

type Kind = SecuritySchemeDeclaration['type'];

/** The `type` of OpenAPI, in lower case and without underscores. */
const kindsByType = new Map<string, Kind>([
  ['apikey', 'apiKey'],
  ['http', 'http'],
  ['oauth2', 'oauth2'],
  ['openidconnect', 'openIdConnect'],
  ['mutualtls', 'mutualTLS'],
]);

/** The member of A2A 1.0 that holds the scheme, likewise. */
const kindsByWrapper = new Map<string, Kind>([
  ['apikeysecurityscheme', 'apiKey'],
  ['httpauthsecurityscheme', 'http'],
  ['oauth2securityscheme', 'oauth2'],
  ['openidconnectsecurityscheme', 'openIdConnect'],
  ['mtlssecurityscheme', 'mutualTLS'],
  ['mutualtlssecurityscheme', 'mutualTLS'],
]);

const plain = (name: string) => name.toLowerCase().replaceAll('_', '');

/**
 * Reads a scheme in the form of A2A 1.0, of OpenAPI (A2A 0.3), or in which the SDK holds it in memory and some agents
 * serve it. Of a scheme that is there in both versions at once, that of 1.0 counts: it can say more. Whatever is not
 * understood has no way to be met.
 */
export function readScheme(value: unknown): CardScheme {
  if (!isObject(value)) return unknown('It is no object.');
  const found = findFields(value);
  if (found === undefined) return unknown('Its type is unknown to this client.');
  const { kind, fields } = found;
  const description = text(fields, 'description') ?? text(value, 'description');
  const common = description === undefined || description === '' ? {} : { description };
  switch (kind) {
    case 'apiKey': {
      const place = text(fields, 'in', 'location')?.toLowerCase();
      const name = text(fields, 'name') ?? '';
      if (place !== 'header' && place !== 'query' && place !== 'cookie')
        return unknown('It does not say where the API key goes.');
      if (name === '') return unknown('It does not say the name under which the API key goes.');
      return known({ type: 'apiKey', in: place, name, ...common });
    }
    case 'http': {
      const scheme = text(fields, 'scheme') ?? '';
      const bearerFormat = text(fields, 'bearerFormat', 'bearer_format') ?? '';
      if (scheme === '') return unknown('It does not name an HTTP authentication scheme.');
      return known({ type: 'http', scheme, ...(bearerFormat === '' ? {} : { bearerFormat }), ...common });
    }
    case 'oauth2': {
      const metadata = text(fields, 'oauth2MetadataUrl', 'oauth2_metadata_url') ?? '';
      const oauth2MetadataUrl = metadata === '' ? {} : { oauth2MetadataUrl: metadata };
      const flows = readFlows(member(fields, 'flows'));
      if (flows.length > 0)
        return known(
          ...flows.map((flow) => ({ type: 'oauth2' as const, flow, ...oauth2MetadataUrl, ...common })),
        );
      // No flow that this client could go through; but who has a token can send it.
      return known({ type: 'http', scheme: 'Bearer', ...common });
    }
    case 'openIdConnect': {
      const openIdConnectUrl = text(fields, 'openIdConnectUrl', 'open_id_connect_url') ?? '';
      return known({ type: 'openIdConnect', openIdConnectUrl, ...common });
    }
    case 'mutualTLS':
      return known({ type: 'mutualTLS', ...common });
  }
}

const known = (...ways: readonly SecuritySchemeDeclaration[]): CardScheme => ({ ways, problem: undefined });
const unknown = (problem: string): CardScheme => ({ ways: [], problem });

function findFields(value: JsonObject): { kind: Kind; fields: JsonObject } | undefined {
  const held = member(value, 'scheme');
  if (isObject(held)) {
    const kind = kindsByWrapper.get(plain(text(held, '$case') ?? ''));
    const fields = member(held, 'value');
    return kind !== undefined && isObject(fields) ? { kind, fields } : undefined;
  }
  const wrapped = Object.keys(value).flatMap((name) => {
    const kind = kindsByWrapper.get(plain(name));
    const fields = value[name];
    return kind !== undefined && isObject(fields) ? [{ kind, fields }] : [];
  });
  const type = text(value, 'type');
  if (type === undefined) return wrapped.length === 1 ? wrapped[0] : undefined;
  const kind = kindsByType.get(plain(type));
  if (kind === undefined || wrapped.some((other) => other.kind !== kind)) return undefined;
  return { kind, fields: wrapped[0]?.fields ?? value };
}

const flowTypes = new Map<string, OAuthFlowDeclaration['type']>([
  ['authorizationcode', 'authorizationCode'],
  ['clientcredentials', 'clientCredentials'],
  ['devicecode', 'deviceCode'],
]);

/** The flows this client knows, in the order of the card. */
function readFlows(value: unknown): readonly OAuthFlowDeclaration[] {
  if (!isObject(value)) return [];
  const held = member(value, 'flow');
  const entries = isObject(held)
    ? [[text(held, '$case') ?? '', member(held, 'value')] as const]
    : bounded(Object.entries(value), 20, 'flows of one security scheme');
  return entries.flatMap(([name, fields]) => {
    const type = flowTypes.get(plain(name));
    return type === undefined || !isObject(fields) ? [] : [readFlow(type, fields)];
  });
}

/** The addresses are what the card says: whoever uses one has to check it. */
function readFlow(type: OAuthFlowDeclaration['type'], fields: JsonObject): OAuthFlowDeclaration {
  const refreshUrl = text(fields, 'refreshUrl', 'refresh_url') ?? '';
  const common = {
    tokenUrl: text(fields, 'tokenUrl', 'token_url') ?? '',
    scopes: readScopes(member(fields, 'scopes')),
    ...(refreshUrl === '' ? {} : { refreshUrl }),
  };
  switch (type) {
    case 'authorizationCode':
      return {
        type,
        ...common,
        authorizationUrl: text(fields, 'authorizationUrl', 'authorization_url') ?? '',
        pkceRequired: member(fields, 'pkceRequired', 'pkce_required') === true,
      };
    case 'clientCredentials':
      return { type, ...common };
    case 'deviceCode':
      return {
        type,
        ...common,
        deviceAuthorizationUrl: text(fields, 'deviceAuthorizationUrl', 'device_authorization_url') ?? '',
      };
  }
}

function readScopes(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  const entries = bounded(Object.entries(value), 500, 'scopes of one flow');
  return Object.fromEntries(
    entries.map(([scope, meaning]) => [scope, typeof meaning === 'string' ? meaning : '']),
  );
}
