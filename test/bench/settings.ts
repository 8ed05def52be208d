export const ISSUER = 'https://issuer.example/';
export const AUDIENCE = 'https://agent.example/';
export const ALGORITHM = 'RS256';
export const API_KEY_HEADER = 'x-api-key';
export const AGENT_PATH = '/a2a/jsonrpc';

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** HTTP requests to each variant in a round. */
  readonly requests: number;
  /** HTTP requests to each variant before the first round. */
  readonly warmUpRequests: number;
  /** Decisions of each variant in a round. */
  readonly decisions: number;
  /** How many API keys are stored, variant by variant. */
  readonly keyCounts: readonly number[];
}

export const fullEffort: Effort = {
  rounds: 25,
  requests: 1_500,
  warmUpRequests: 6_000,
  decisions: 20_000,
  keyCounts: [1, 100, 10_000, 1_000_000],
};

/** Enough to see that everything runs; the numbers say nothing. */
export const quickEffort: Effort = {
  rounds: 1,
  requests: 50,
  warmUpRequests: 50,
  decisions: 50,
  keyCounts: [1, 100],
};

/** What a measured server is told when it starts. */
export interface ServerSettings {
  readonly apiKey: string;
  /** As PEM (SPKI). */
  readonly publicKey: string;
}
