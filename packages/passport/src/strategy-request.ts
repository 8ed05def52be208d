import type {
  ApiKeyDeclaration,
  AuthRequest,
  HttpDeclaration,
  OAuth2Declaration,
  OpenIdConnectDeclaration,
} from '@a2a-auth/server';

/** What a Passport strategy can be declared as. */
export type PassportDeclaration =
  ApiKeyDeclaration | HttpDeclaration | OAuth2Declaration | OpenIdConnectDeclaration;

/** What a strategy sees of a request: nothing that a caller wrote but the one credential, in its declared place. */
export interface StrategyRequest {
  readonly method: string;
  /** Path and query, as Node has it. */
  readonly url: string;
  readonly originalUrl: string;
  readonly path: string;
  readonly ip: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly cookies: Readonly<Record<string, string>>;
  /** Undefined: the body is not read before the caller is known. */
  readonly body: undefined;
  get(name: string): string | undefined;
  header(name: string): string | undefined;
}

/**
 * The request for a strategy. Many strategies look into several places (`passport-http-bearer` into the header, the query
 * and the body); what is not declared must not be a way in, so it is not there.
 */
export function strategyRequest(
  request: AuthRequest,
  declaration: PassportDeclaration,
  credential: string,
): StrategyRequest {
  const path = URL.canParse(request.url) ? new URL(request.url).pathname : '/';
  return requestOf(request.method, path, request.remoteAddress, placed(declaration, credential));
}

/** A request without any credential. */
export function bareRequest(): StrategyRequest {
  return requestOf('POST', '/', undefined, {});
}

type Placed = Partial<Record<'headers' | 'query' | 'cookies', Record<string, string>>>;

function requestOf(
  method: string,
  path: string,
  ip: string | undefined,
  { headers = {}, query = {}, cookies = {} }: Placed,
): StrategyRequest {
  const search = new URLSearchParams(query).toString();
  const url = search === '' ? path : `${path}?${search}`;
  const header = (name: string) => {
    const lowerCased = name.toLowerCase();
    return Object.hasOwn(headers, lowerCased) ? headers[lowerCased] : undefined;
  };
  return Object.freeze({
    method,
    url,
    originalUrl: url,
    path,
    ip,
    headers: Object.freeze(headers),
    query: Object.freeze(query),
    cookies: Object.freeze(cookies),
    body: undefined,
    get: header,
    header,
  });
}

/** `fromEntries` makes own members, also of a name such as `__proto__`. */
function placed(declaration: PassportDeclaration, credential: string): Placed {
  if (declaration.type !== 'apiKey') {
    const authScheme = declaration.type === 'http' ? declaration.scheme : 'Bearer';
    return { headers: { authorization: `${authScheme} ${credential}` } };
  }
  const { in: place, name } = declaration;
  switch (place) {
    case 'header':
      return { headers: Object.fromEntries([[name.toLowerCase(), credential]]) };
    case 'query':
      return { query: Object.fromEntries([[name, credential]]) };
    case 'cookie':
      return {
        headers: { cookie: `${name}=${encodeURIComponent(credential)}` },
        cookies: Object.fromEntries([[name, credential]]),
      };
  }
}
