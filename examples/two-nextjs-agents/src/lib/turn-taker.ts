import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';

import { principalOf } from '@a2a-auth/server';
import { Role, TaskState, taskStateToJSON, type StreamResponse } from '@a2a-js/sdk';
import {
  AgentEvent,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';

import { linesOf, MOST_TURNS, turnOf, type Turn } from './turn.js';

/** So that a reader sees the turns come one by one. */
const THINKING_MS = 150;
/** What another agent says is not to be trusted: neither that it is short nor that it ends. */
const LONGEST_LINE = 200;

/** Asks the other agent, and gives the events of its answer. */
export type AskPeer = (turn: Turn) => AsyncIterable<StreamResponse>;

/** Says that it is available for a turn, and asks the other agent about the next one. */
export class TurnTaker implements AgentExecutor {
  readonly #name: string;
  readonly #askPeer: AskPeer;

  constructor(name: string, askPeer: AskPeer) {
    this.#name = name;
    this.#askPeer = askPeer;
  }

  async execute(requestContext: RequestContext, eventBus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage } = requestContext;
    const asked = turnOf(userMessage);
    const artifactId = randomUUID();
    let said = 0;

    const say = (line: string) => {
      eventBus.publish(
        AgentEvent.artifactUpdate({
          taskId,
          contextId,
          artifact: {
            artifactId,
            name: 'conversation',
            description: '',
            parts: [textPart(line)],
            metadata: undefined,
            extensions: [],
          },
          append: said++ > 0,
          lastChunk: false,
          metadata: undefined,
        }),
      );
    };
    const end = (state: TaskState, text: string) => {
      const message = {
        messageId: randomUUID(),
        taskId,
        contextId,
        role: Role.ROLE_AGENT,
        parts: [textPart(text)],
        metadata: undefined,
        extensions: [],
        referenceTaskIds: [],
      };
      eventBus.publish(
        AgentEvent.statusUpdate({
          taskId,
          contextId,
          status: { state, message, timestamp: new Date().toISOString() },
          metadata: undefined,
        }),
      );
      eventBus.finished();
    };

    eventBus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: {
          state: TaskState.TASK_STATE_WORKING,
          message: undefined,
          timestamp: new Date().toISOString(),
        },
        artifacts: [],
        history: [userMessage],
        metadata: undefined,
      }),
    );
    if (asked === undefined) {
      end(
        TaskState.TASK_STATE_REJECTED,
        `Ask with a data part { turn, turns }, of at most ${String(MOST_TURNS)} turns.`,
      );
      return;
    }
    const { turn, turns } = asked;
    await wait(THINKING_MS);
    say(
      `turn ${String(turn)}: ${this.#name}, asked by ${principalOf(requestContext).subject}: I am available for this turn.`,
    );
    try {
      if (turn < turns) await this.#passOn({ turn: turn + 1, turns }, say);
      end(TaskState.TASK_STATE_COMPLETED, `${this.#name} has taken turn ${String(turn)}.`);
    } catch (error) {
      // The caller need not know why.
      console.error(`${this.#name}: turn ${String(turn + 1)} failed:`, error);
      end(TaskState.TASK_STATE_FAILED, `Nobody took turn ${String(turn + 1)}.`);
    }
  }

  /** Lets the other agent take the next turn, and tells what is said from there on. */
  async #passOn(next: Turn, say: (line: string) => void): Promise<void> {
    let left = next.turns - next.turn + 1;
    let state = TaskState.TASK_STATE_UNSPECIFIED;
    for await (const event of this.#askPeer(next)) {
      for (const line of linesOf(event)) if (left-- > 0) say(line.slice(0, LONGEST_LINE));
      state = stateOf(event) ?? state;
    }
    if (state !== TaskState.TASK_STATE_COMPLETED) {
      throw new Error(`The other agent's task ended as ${taskStateToJSON(state)}.`);
    }
  }

  cancelTask = (): Promise<void> => Promise.resolve();
}

function textPart(value: string) {
  return {
    content: { $case: 'text' as const, value },
    mediaType: 'text/plain',
    filename: '',
    metadata: undefined,
  };
}

function stateOf({ payload }: StreamResponse): TaskState | undefined {
  return payload?.$case === 'task' || payload?.$case === 'statusUpdate'
    ? payload.value.status?.state
    : undefined;
}
