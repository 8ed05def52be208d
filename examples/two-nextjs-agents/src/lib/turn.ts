import { randomUUID } from 'node:crypto';

import { Role, type Message, type StreamResponse } from '@a2a-js/sdk';

/** A question of the conversation: are you available for this turn, of so many? */
export interface Turn {
  readonly turn: number;
  readonly turns: number;
}

/** Agents that call each other need an end that no caller can move. */
export const MOST_TURNS = 20;

export function question({ turn, turns }: Turn): Message {
  const part = { mediaType: '', filename: '', metadata: undefined };
  return {
    messageId: randomUUID(),
    taskId: '',
    contextId: '',
    role: Role.ROLE_USER,
    parts: [
      { ...part, content: { $case: 'text', value: `Are you available for turn ${String(turn)}?` } },
      { ...part, content: { $case: 'data', value: { turn, turns } } },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

/** What a message asks for; undefined when it is no question of this conversation. */
export function turnOf({ parts }: Message): Turn | undefined {
  for (const { content } of parts) {
    if (content?.$case !== 'data') continue;
    const { turn, turns } = (content.value ?? {}) as Partial<Record<string, unknown>>;
    if (isCount(turn) && isCount(turns) && turn <= turns && turns <= MOST_TURNS) return { turn, turns };
  }
  return undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** The lines of the conversation that an event of a stream brings. */
export function linesOf({ payload }: StreamResponse): readonly string[] {
  const parts = payload?.$case === 'artifactUpdate' ? (payload.value.artifact?.parts ?? []) : [];
  return parts.flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []));
}
