import type { KeySetOptions } from '@a2a-auth/server';
import type { JSONWebKeySet } from 'jose';

export const ISSUER = 'https://issuer.example/';
export const AUDIENCE = 'https://agent.example/';
export const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
/** Of the tokens, where nothing else is said. */
export const ALGORITHM = 'RS256' satisfies Algorithm;
export const API_KEY_HEADER = 'x-api-key';
export const AGENT_PATH = '/a2a/jsonrpc';
/** How many callers there are at a time. */
export const CONNECTIONS = 10;

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** How often the HTTP servers are started anew; a divisor of the rounds. */
  readonly lives: number;
  /** HTTP requests to each variant in a round. */
  readonly requests: number;
  /** HTTP requests to each server when it has started, before they count. */
  readonly warmUpRequests: number;
  /**
   * HTTP requests to each variant in a round that measures latency: so few that those which wait for a new key, one for
   * each connection, are more than one in a hundred.
   */
  readonly latencyRequests: number;
  /** Decisions of each variant in a round. */
  readonly decisions: number;
  /** How many API keys are stored, variant by variant. */
  readonly keyCounts: readonly number[];
}

export const fullEffort: Effort = {
  rounds: 25,
  lives: 5,
  requests: 1_500,
  warmUpRequests: 3_000,
  latencyRequests: 600,
  decisions: 20_000,
  keyCounts: [1, 100, 10_000, 1_000_000],
};

/** Enough to see that everything runs; the numbers say nothing. */
export const quickEffort: Effort = {
  rounds: 1,
  lives: 1,
  requests: 50,
  warmUpRequests: 50,
  latencyRequests: 50,
  decisions: 50,
  keyCounts: [1, 100],
};

/** What a server is told that has its credentials given. */
export interface GivenSettings {
  readonly apiKey: string;
  /** As PEM (SPKI). */
  readonly publicKey: string;
}

/** What a server is told that speaks TLS; all but `trust` in PEM. */
export interface TlsSettings {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
  /** Paths of the same, for those who read files, and of the folder of what is trusted. */
  readonly files: { readonly certificate: string; readonly key: string };
  readonly trust: string;
}

/** What a server is told that fetches the keys of the issuer. */
export interface IssuerSettings {
  readonly algorithm: Algorithm;
  readonly jwksUri: string;
  readonly keys?: KeySetOptions;
}

/** What a server is told that has tokens introspected. */
export interface IntrospectionSettings {
  readonly endpoint: string;
}

/** The key sets that a provider publishes, by path. */
export type PublishedKeys = Readonly<Record<string, JSONWebKeySet>>;
