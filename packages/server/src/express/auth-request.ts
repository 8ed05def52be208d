import type { Request } from 'express';

import type { AuthRequest, PresentedCertificate } from '../auth-request.js';
import { connectionCertificate } from '../connection-certificate.js';
import { cookieValues } from '../http/cookie-values.js';

const none: readonly string[] = Object.freeze([]);

/** The neutral view of an Express request. Nothing is parsed before a scheme asks for it. */
export function toAuthRequest(req: Request): AuthRequest {
  return new ExpressAuthRequest(req);
}

/** Express gives each request a prototype of its own making, which makes look-ups on it slow: there are few of them. */
class ExpressAuthRequest implements AuthRequest {
  readonly #req: Request;
  readonly #headers: Request['headers'];
  #rawHeaders: readonly string[] | undefined;
  #target: string | undefined;
  #query: URLSearchParams | undefined;

  constructor(req: Request) {
    this.#req = req;
    this.#headers = req.headers;
  }

  get method(): string {
    return this.#req.method;
  }

  get url(): string {
    return absoluteUrl(this.#req);
  }

  get remoteAddress(): string | undefined {
    return this.#req.ip;
  }

  get peerAddress(): string | undefined {
    return this.#req.socket.remoteAddress;
  }

  get clientCertificate(): PresentedCertificate | undefined {
    return connectionCertificate(this.#req.socket);
  }

  /**
   * Every value of a header as it was sent. `req.headers` alone would hide repetition: Node drops a second
   * Authorization header and joins most others.
   */
  header(name: string): readonly string[] {
    const lowerCased = name.toLowerCase();
    const joined = Object.hasOwn(this.#headers, lowerCased) ? this.#headers[lowerCased] : undefined;
    if (joined === undefined) return none;
    const values: string[] = [];
    const raw = (this.#rawHeaders ??= this.#req.rawHeaders);
    for (let index = 0; index < raw.length; index += 2) {
      const rawName = raw[index];
      if (rawName?.length === lowerCased.length && rawName.toLowerCase() === lowerCased) {
        values.push(raw[index + 1] ?? '');
      }
    }
    // A middleware before us may have set or rewritten the header.
    return values.length > 1 ? values : [joined].flat();
  }

  query(name: string): readonly string[] {
    const target = (this.#target ??= this.#req.originalUrl);
    const start = target.indexOf('?');
    if (start === -1) return none;
    this.#query ??= new URLSearchParams(target.slice(start + 1));
    return this.#query.getAll(name);
  }

  cookie(name: string): readonly string[] {
    return cookieValues(this.header('cookie'), name);
  }
}

/**
 * The URL as the caller addressed it. The Host header, and the X-Forwarded-Host of an untrusted peer, are the caller's
 * word alone, so they count only as what they should be: a host and a port, never a part of the path.
 */
function absoluteUrl(req: Request): string {
  const host = forwardedHost(req) ?? req.get('host') ?? '';
  const authority = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/.test(host) ? host : 'invalid';
  return `${req.protocol}://${authority}${originForm(req.originalUrl)}`;
}

/** Proxies are trusted as the application's `trust proxy` says, which Express 4 applies to the host without its port. */
function forwardedHost(req: Request): string | undefined {
  const isTrusted = req.app.get('trust proxy fn') as (address: string, hops: number) => boolean;
  if (!isTrusted(req.socket.remoteAddress ?? '', 0)) return undefined;
  return req.get('x-forwarded-host')?.split(',', 1)[0]?.trim();
}

/** Request targets may come in absolute form (RFC 9112 §3.2.2), and Node passes a "#" on. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target.replaceAll('#', '%23');
  if (!URL.canParse(target)) return '/';
  const { pathname, search } = new URL(target);
  return `${pathname}${search}`;
}
