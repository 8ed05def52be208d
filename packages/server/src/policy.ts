import type { SecurityRequirementDeclaration } from './card/declaration.js';
import type { SecurityScheme, StepUp } from './scheme.js';

/** Requirements made ready for deciding. Built once, when an `AgentSecurity` is frozen. */
export interface Policy {
  /** The schemes that requirements name, in the order of registration. */
  readonly schemes: readonly RegisteredScheme[];
  /** The alternatives in the order to be tried. An anonymous one is last: a caller who has a name keeps it. */
  readonly requirements: readonly PolicyRequirement[];
  /** The requirements as the card publishes them. */
  readonly published: readonly SecurityRequirementDeclaration[];
  readonly realm: string;
  /** The agent's resource identifier (RFC 8707), and where its metadata is (RFC 9728), where it has one. */
  readonly resource: string | undefined;
  readonly resourceMetadataUrl: string | undefined;
  /** Milliseconds that one verification may take. */
  readonly verificationTimeout: number;
}

export interface RegisteredScheme {
  readonly id: string;
  readonly scheme: SecurityScheme;
}

/** One alternative. */
export interface PolicyRequirement {
  /** For each scheme in it, in the order of registration, its position in `schemes` and its scopes. */
  readonly entries: readonly PolicyEntry[];
  readonly stepUp: StepUp | undefined;
}

/** A scheme's part in one alternative. */
export interface PolicyEntry {
  readonly position: number;
  readonly scopes: readonly string[];
}
