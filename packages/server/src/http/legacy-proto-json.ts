// The JSON of A2A 0.3's protocol buffers, from and to the 0.3 types that the SDK's handler takes. Fields that are empty
// are left out. The SDK has the same inside of its Express part, and exports none of it.
import { LegacyA2AError, type LegacyRestTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';

type Handler = LegacyRestTransportHandler;
type Json = Readonly<Record<string, unknown>>;

type MessageSendParams = Parameters<Handler['sendMessage']>[0];
type LegacyMessage = MessageSendParams['message'];
type LegacyPart = LegacyMessage['parts'][number];
type LegacyConfiguration = NonNullable<MessageSendParams['configuration']>;
type LegacyPushConfig = NonNullable<LegacyConfiguration['pushNotificationConfig']>;
type LegacyTaskPushConfig = Parameters<Handler['setTaskPushNotificationConfig']>[0];
type LegacyCard = Awaited<ReturnType<Handler['getAuthenticatedExtendedAgentCard']>>;
type LegacySecurityScheme = NonNullable<LegacyCard['securitySchemes']>[string];
type LegacyTask = Awaited<ReturnType<Handler['getTask']>>;
type LegacyArtifact = NonNullable<LegacyTask['artifacts']>[number];

/** What streams are made of. */
export type LegacyEvent =
  Awaited<ReturnType<Handler['sendMessageStream']>> extends AsyncGenerator<infer Event> ? Event : never;

/** @throws an error of the SDK when it is no request to send a message */
export function messageSendParams(body: Json): MessageSendParams {
  const message = optional(body.message) ?? optional(body.request);
  if (message === undefined) throw LegacyA2AError.invalidParams('SendMessageRequest missing message');
  const configuration = optional(body.configuration);
  const metadata = structOf(body.metadata);
  return {
    message: messageOf(message),
    ...(configuration === undefined ? {} : { configuration: configurationOf(configuration) }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

/** @throws an error of the SDK when it is no configuration of a task */
export function pushNotificationConfig(body: Json): LegacyTaskPushConfig {
  const config = optional(field(body, 'pushNotificationConfig'));
  if (config === undefined) {
    throw LegacyA2AError.invalidParams('TaskPushNotificationConfig missing pushNotificationConfig');
  }
  const name = text(body.name);
  const [, taskId] = /^tasks\/([^/]+)(?:\/|$)/.exec(name) ?? [];
  if (taskId === undefined) throw LegacyA2AError.invalidParams(`Invalid or missing task ID in: "${name}"`);
  return { taskId, pushNotificationConfig: pushConfigOf(config) };
}

function messageOf(message: Json): LegacyMessage {
  const contextId = text(field(message, 'contextId'));
  const taskId = text(field(message, 'taskId'));
  const metadata = structOf(message.metadata);
  return {
    kind: 'message',
    messageId: text(field(message, 'messageId')),
    parts: list(message.content).map((part) => partOf(record(part))),
    role: roleOf(message.role),
    extensions: list(message.extensions).map(String),
    ...(contextId === '' ? {} : { contextId }),
    ...(taskId === '' ? {} : { taskId }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function roleOf(role: unknown): LegacyMessage['role'] {
  if (role === 'ROLE_USER' || role === 1) return 'user';
  if (role === 'ROLE_AGENT' || role === 2) return 'agent';
  const isUnspecified = role === undefined || role === null || role === 'ROLE_UNSPECIFIED' || role === 0;
  throw LegacyA2AError.invalidParams(`Invalid role: ${isUnspecified ? '0' : '-1'}`);
}

function partOf(part: Json): LegacyPart {
  if (isSet(part.text)) return { kind: 'text', text: text(part.text) };
  if (isSet(part.file)) return { kind: 'file', file: fileOf(record(part.file)) };
  if (isSet(part.data)) return { kind: 'data', data: structOf(record(part.data).data) ?? {} };
  throw LegacyA2AError.invalidParams('Invalid part type');
}

function fileOf(file: Json): Extract<LegacyPart, { kind: 'file' }>['file'] {
  const mimeType = text(field(file, 'mimeType'));
  const uri = field(file, 'fileWithUri');
  if (isSet(uri)) return { uri: text(uri), mimeType };
  const bytes = field(file, 'fileWithBytes');
  if (isSet(bytes)) return { bytes: base64(text(bytes)), mimeType };
  throw LegacyA2AError.invalidParams('Invalid file part type');
}

function configurationOf(configuration: Json): LegacyConfiguration {
  const push = optional(field(configuration, 'pushNotification'));
  return {
    blocking: Boolean(configuration.blocking),
    acceptedOutputModes: list(field(configuration, 'acceptedOutputModes')).map(String),
    ...(push === undefined ? {} : { pushNotificationConfig: pushConfigOf(push) }),
  };
}

function pushConfigOf(config: Json): LegacyPushConfig {
  const authentication = optional(config.authentication);
  const token = text(config.token);
  return {
    id: text(config.id),
    url: text(config.url),
    ...(token === '' ? {} : { token }),
    ...(authentication === undefined
      ? {}
      : {
          authentication: {
            schemes: list(authentication.schemes).map(String),
            credentials: text(authentication.credentials),
          },
        }),
  };
}

export function sendMessageResultJson(result: LegacyMessage | LegacyTask): Json {
  return result.kind === 'message' ? { message: messageJson(result) } : { task: taskJson(result) };
}

export function eventJson(event: LegacyEvent): Json {
  switch (event.kind) {
    case 'message':
      return { message: messageJson(event) };
    case 'task':
      return { task: taskJson(event) };
    case 'status-update': {
      const { taskId, contextId, status, final, metadata } = event;
      return { statusUpdate: filled({ taskId, contextId, status: statusJson(status), final, metadata }) };
    }
    case 'artifact-update': {
      const { taskId, contextId, artifact, append, lastChunk, metadata } = event;
      return {
        artifactUpdate: filled({
          taskId,
          contextId,
          artifact: artifactJson(artifact),
          append,
          lastChunk,
          metadata,
        }),
      };
    }
  }
}

export function taskJson({ id, contextId, status, artifacts, history, metadata }: LegacyTask): Json {
  return filled({
    id,
    contextId,
    status: statusJson(status),
    artifacts: artifacts?.map(artifactJson),
    history: history?.map(messageJson),
    metadata,
  });
}

const states: Readonly<Record<LegacyTask['status']['state'], string>> = {
  submitted: 'TASK_STATE_SUBMITTED',
  working: 'TASK_STATE_WORKING',
  'input-required': 'TASK_STATE_INPUT_REQUIRED',
  completed: 'TASK_STATE_COMPLETED',
  canceled: 'TASK_STATE_CANCELLED',
  failed: 'TASK_STATE_FAILED',
  rejected: 'TASK_STATE_REJECTED',
  'auth-required': 'TASK_STATE_AUTH_REQUIRED',
  // The default, which is left out.
  unknown: '',
};

function statusJson({ state, message, timestamp }: LegacyTask['status']): Json {
  return filled({
    state: states[state],
    message: message === undefined ? undefined : messageJson(message),
    timestamp,
  });
}

function messageJson(message: LegacyMessage): Json {
  const { messageId, contextId, taskId, role, parts, metadata, extensions } = message;
  return filled({
    messageId,
    contextId,
    taskId,
    role: role === 'agent' ? 'ROLE_AGENT' : 'ROLE_USER',
    content: parts.map(partJson),
    metadata,
    extensions,
  });
}

function artifactJson({ artifactId, name, description, parts, metadata, extensions }: LegacyArtifact): Json {
  return filled({ artifactId, name, description, parts: parts.map(partJson), metadata, extensions });
}

function partJson(part: LegacyPart): Json {
  switch (part.kind) {
    case 'text':
      return { text: part.text };
    case 'data':
      return { data: { data: part.data } };
    case 'file': {
      const { file } = part;
      const content = 'uri' in file ? { fileWithUri: file.uri } : { fileWithBytes: base64(file.bytes) };
      return { file: { ...content, ...filled({ mimeType: file.mimeType }) } };
    }
  }
}

export function pushNotificationConfigJson({ taskId, pushNotificationConfig }: LegacyTaskPushConfig): Json {
  const { id = '', url, token, authentication } = pushNotificationConfig;
  return {
    name: `tasks/${taskId}/pushNotificationConfigs/${id}`,
    pushNotificationConfig: filled({
      id,
      url,
      token,
      authentication:
        authentication === undefined
          ? undefined
          : filled({ schemes: authentication.schemes, credentials: authentication.credentials }),
    }),
  };
}

export function agentCardJson(card: LegacyCard): Json {
  const { additionalInterfaces, provider, capabilities, securitySchemes, skills, signatures } = card;
  return filled({
    protocolVersion: card.protocolVersion,
    name: card.name,
    description: card.description,
    url: card.url,
    preferredTransport: card.preferredTransport,
    additionalInterfaces: additionalInterfaces?.map(({ url, transport }) => filled({ url, transport })),
    provider:
      provider === undefined ? undefined : filled({ url: provider.url, organization: provider.organization }),
    version: card.version,
    documentationUrl: card.documentationUrl,
    capabilities: filled({
      streaming: capabilities.streaming,
      pushNotifications: capabilities.pushNotifications,
      extensions: capabilities.extensions?.map(({ uri, description, required, params }) =>
        filled({ uri, description, required, params }),
      ),
    }),
    securitySchemes:
      securitySchemes === undefined || Object.keys(securitySchemes).length === 0
        ? undefined
        : Object.fromEntries(
            Object.entries(securitySchemes).map(([id, scheme]) => [id, securitySchemeJson(scheme)]),
          ),
    security: card.security?.map(requirementJson),
    defaultInputModes: card.defaultInputModes,
    defaultOutputModes: card.defaultOutputModes,
    skills: skills.map((skill) =>
      filled({
        id: skill.id,
        name: skill.name,
        description: skill.description,
        tags: skill.tags,
        examples: skill.examples,
        inputModes: skill.inputModes,
        outputModes: skill.outputModes,
        security: skill.security?.map(requirementJson),
      }),
    ),
    supportsAuthenticatedExtendedCard: card.supportsAuthenticatedExtendedCard,
    signatures: signatures?.map(({ protected: header, signature, header: unprotected }) =>
      filled({ protected: header, signature, header: unprotected }),
    ),
  });
}

function requirementJson(requirement: Readonly<Record<string, readonly string[]>>): Json {
  const schemes = Object.entries(requirement).map(([id, scopes]) => [id, filled({ list: scopes })]);
  return schemes.length === 0 ? {} : { schemes: Object.fromEntries(schemes) as Json };
}

function securitySchemeJson(scheme: LegacySecurityScheme): Json {
  const { description } = scheme;
  switch (scheme.type) {
    case 'apiKey':
      return { apiKeySecurityScheme: filled({ description, location: scheme.in, name: scheme.name }) };
    case 'http':
      return {
        httpAuthSecurityScheme: filled({
          description,
          scheme: scheme.scheme,
          bearerFormat: scheme.bearerFormat,
        }),
      };
    case 'mutualTLS':
      return { mtlsSecurityScheme: filled({ description }) };
    case 'openIdConnect':
      return {
        openIdConnectSecurityScheme: filled({ description, openIdConnectUrl: scheme.openIdConnectUrl }),
      };
    case 'oauth2':
      return {
        oauth2SecurityScheme: filled({
          description,
          flows: flowsJson(scheme.flows),
          oauth2MetadataUrl: scheme.oauth2MetadataUrl,
        }),
      };
  }
}

/** The protocol buffers have room for one flow, and a scheme has none but these; the device code flow is written elsewhere. */
function flowsJson(flows: Extract<LegacySecurityScheme, { type: 'oauth2' }>['flows']): Json {
  for (const name of ['clientCredentials', 'authorizationCode'] as const) {
    const flow = flows[name];
    if (flow === undefined) continue;
    const { scopes, ...urls } = flow;
    return { [name]: { ...filled({ ...urls }), ...(Object.keys(scopes).length === 0 ? {} : { scopes }) } };
  }
  throw LegacyA2AError.internalError('Unsupported OAuth flows');
}

/** Without the fields that have the default of protocol buffers. */
function filled(fields: Json): Json {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) =>
        value !== undefined &&
        value !== '' &&
        value !== false &&
        !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** A field by its name in JSON, or by its name in the protocol buffers. */
function field(object: Json, name: string): unknown {
  const value = object[name];
  return isSet(value) ? value : object[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function optional(value: unknown): Json | undefined {
  return isSet(value) ? record(value) : undefined;
}

function structOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

function record(value: unknown): Json {
  return structOf(value) ?? {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Of a text, a number or a boolean: the gate lets nothing else through. */
function text(value: unknown): string {
  return isSet(value) ? String(value) : '';
}

/** In the one spelling that the SDK writes. */
function base64(encoded: string): string {
  return Buffer.from(encoded, 'base64').toString('base64');
}
